//! Certificates of an authority of the harness' own, made with `openssl` as an operator would.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context;

use super::docker::run;

/// Of each certificate its key, and the certificate.
const PAIRS: [&str; 2] = ["one", "two"];
/// Nobody uses them for longer.
const DAYS: &str = "2";
/// For whom they are, a pair of HAProxies among them (`machines.rs`).
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:10.77.0.100\nbasicConstraints=critical,CA:FALSE\n\
                     extendedKeyUsage=serverAuth\n";

/// Two certificates that take turns in the files which the playbooks read.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: PathBuf,
    /// SHA-256 of the public key of each, in base64.
    keys: Vec<String>,
    /// How often they have changed.
    changes: Arc<AtomicUsize>,
}

impl Certificates {
    /// Makes an authority and its certificates in a folder; the first is put in place.
    ///
    /// # Errors
    ///
    /// If there is no `openssl`, or it fails.
    pub async fn make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = fs::canonicalize(folder)?;
        let certificates = Self { folder, keys: Vec::new(), changes: Arc::default() };
        let authority = certificates.path("authority.pem");
        let mut arguments = vec!["req", "-x509", "-days", DAYS, "-subj", "/CN=Rollcall drills"];
        let key = certificates.path("authority.key");
        arguments.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        arguments.extend(["-keyout", &key, "-out", &authority]);
        run("openssl", &arguments).await?;
        fs::write(certificates.path("names"), NAMES)?;
        let mut keys = Vec::new();
        for pair in PAIRS {
            keys.push(certificates.issue(pair).await?);
        }
        let certificates = Self { keys, ..certificates };
        certificates.put_in_place(PAIRS[0])?;
        Ok(certificates)
    }

    /// The authority's own, to be believed.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// SHA-256 of the public keys in base64, for a browser that does not know the authority.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// As the playbooks are told of them: variable and value.
    #[must_use]
    pub fn settings(&self) -> [(String, String); 3] {
        let set = |name: &str, value: String| (format!("rollcall_tls{name}"), value);
        [
            set("", "files".to_owned()),
            set("_certificate", self.path("server.pem")),
            set("_key", self.path("server.key")),
        ]
    }

    /// Puts the other one into the same files. Its serial number.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    pub async fn change(&self) -> anyhow::Result<String> {
        let changes = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        let pair = PAIRS[changes % PAIRS.len()];
        self.put_in_place(pair)?;
        let certificate = self.path(&format!("{pair}.pem"));
        let serial = run("openssl", &["x509", "-noout", "-serial", "-in", &certificate]).await?;
        Ok(serial.trim().to_owned())
    }

    /// The serial number of the certificate that a new connection to this port is shown, if the authority vouches for it.
    ///
    /// # Errors
    ///
    /// If nobody answers there, or with a certificate that is not to be believed.
    pub async fn shown_at(&self, port: u16) -> anyhow::Result<String> {
        let script = "shown=$(openssl s_client -connect \"127.0.0.1:$0\" -CAfile \"$1\" -verify_return_error \
                      -verify_ip 127.0.0.1 </dev/null 2>/dev/null) && echo \"$shown\" | openssl x509 -noout -serial";
        let arguments = ["-c", script, &port.to_string(), &self.path("authority.pem")];
        Ok(run("sh", &arguments).await?.trim().to_owned())
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A pair signed by the authority. What a browser knows its key by.
    async fn issue(&self, pair: &str) -> anyhow::Result<String> {
        let file = |ending: &str| self.path(&format!("{pair}.{ending}"));
        let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
        let mut arguments = vec!["req", "-new", "-subj", "/CN=localhost", "-nodes"];
        arguments.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        arguments.extend(["-keyout", &key, "-out", &request]);
        run("openssl", &arguments).await?;
        let (authority, authority_key) = (self.path("authority.pem"), self.path("authority.key"));
        let names = self.path("names");
        let mut arguments = vec!["x509", "-req", "-in", &request, "-out", &certificate];
        arguments.extend(["-CA", &authority, "-CAkey", &authority_key, "-CAcreateserial"]);
        arguments.extend(["-days", DAYS, "-extfile", &names]);
        run("openssl", &arguments).await?;
        let hash = "openssl pkey -in \"$0\" -pubout -outform der | openssl dgst -sha256 -binary | openssl base64";
        Ok(run("sh", &["-c", hash, &key]).await?.trim().to_owned())
    }

    fn put_in_place(&self, pair: &str) -> anyhow::Result<()> {
        for ending in ["pem", "key"] {
            let (from, to) = (format!("{pair}.{ending}"), format!("server.{ending}"));
            fs::copy(self.path(&from), self.path(&to)).with_context(|| from)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use rollcall_client::Tls;

    use super::Certificates;

    #[tokio::test]
    async fn two_certificates_take_turns_and_their_authority_can_be_believed() {
        let folder = env::temp_dir().join(format!("certificates-{}", process::id()));
        let made = Certificates::make(&folder).await.expect("certificates");
        let authority = fs::read(made.authority()).expect("a file");
        Tls::trusting(&authority).expect("an authority");
        let [one, two] = made.keys() else { panic!("{:?}", made.keys()) };
        assert!(one != two && one.len() == 44 && one.ends_with('='), "{one}, {two}");
        let in_place = || fs::read(folder.join("server.pem")).expect("a file");
        let first = in_place();
        let serial = made.change().await.expect("changed");
        assert!(serial.starts_with("serial=") && in_place() != first, "{serial}");
        made.change().await.expect("changed");
        assert_eq!(in_place(), first);
        fs::remove_dir_all(folder).expect("removed");
    }
}
