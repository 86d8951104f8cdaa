//! The file of a history: as it is, or packed. At 3,000 clients it has millions of lines of nearly 200 bytes, most of them
//! deliveries, of which packing leaves about a tenth.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};

/// How the name of a packed history ends.
const PACKED: &str = "gz";
/// What a packed file begins with (RFC 1952, section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes read at once.
const READ: usize = 1 << 18;

/// A history's file while it is written.
#[derive(Debug)]
pub(super) enum Output {
    Plain(File),
    Packed(GzEncoder<File>),
}

impl Output {
    /// A new file; packed if its name ends in `.gz`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(match path.extension().is_some_and(|ending| ending == PACKED) {
            true => Self::Packed(GzEncoder::new(file, Compression::fast())),
            false => Self::Plain(file),
        })
    }

    /// Nothing comes after what was written. Without this a packed file has no end, and reads as one that was cut short.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(file) => file.try_finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(file) => file.flush(),
        }
    }
}

/// Opens a history, packed or not, whatever its name.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(READ, File::open(path)?);
    if !file.fill_buf()?.starts_with(&MAGIC) {
        return Ok(Box::new(file));
    }
    let unpacked = UntilCut(MultiGzDecoder::new(file));
    Ok(Box::new(BufReader::with_capacity(READ, unpacked)))
}

/// A packed file that ends in the middle, as after a kill, ends there: as in one that is not packed, its last line is
/// missing then, and the checker says so.
struct UntilCut<R>(R);

impl<R: Read> Read for UntilCut<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, path::PathBuf};

    use flate2::bufread::MultiGzDecoder;

    use super::{
        super::{Record, Recorder, What, records},
        MAGIC,
    };

    fn history(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("file-{}-{name}", std::process::id()))
    }

    fn write(path: &std::path::Path) -> u64 {
        let recorder = Recorder::create(path).expect("a file");
        for op in 0..1000 {
            recorder.record(What::Ok { op, id: None, duplicate: false });
        }
        recorder.finish().expect("written");
        let bytes = std::fs::read(path).expect("a file");
        if bytes.starts_with(&MAGIC) {
            // While the recorder is alive: nothing but `finish` has ended it.
            let whole = MultiGzDecoder::new(&bytes[..]).read_to_end(&mut Vec::new());
            whole.expect("a file that has its end, as other tools want it");
        }
        bytes.len() as u64
    }

    fn read(path: &std::path::Path) -> Vec<Record> {
        let lines =
            records(path).expect("a history").map_while(|record| record.expect("a line").ok());
        let read = lines.collect();
        std::fs::remove_file(path).expect("removed");
        read
    }

    #[test]
    fn a_packed_history_reads_as_one_that_is_not() {
        let (plain, packed) = (history("plain.jsonl"), history("packed.jsonl.gz"));
        let (plain_bytes, packed_bytes) = (write(&plain), write(&packed));
        assert!(packed_bytes * 4 < plain_bytes, "{packed_bytes} of {plain_bytes}");
        let what = |path| read(path).into_iter().map(|record| record.what).collect::<Vec<_>>();
        let (plain, packed) = (what(&plain), what(&packed));
        assert_eq!((plain.len(), plain.last()), (1001, Some(&What::End)));
        assert!(plain == packed, "they differ");
    }

    #[test]
    fn a_packed_history_that_was_cut_short_has_no_last_line() {
        let path = history("cut.jsonl.gz");
        let bytes = write(&path);
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("a file");
        file.set_len(bytes / 2).expect("cut");
        let read = read(&path);
        assert!((100..1000).contains(&read.len()), "{}", read.len());
        assert!(read.iter().all(|record| record.what != What::End));
    }
}
