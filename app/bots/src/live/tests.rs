use std::time::{Duration, Instant};

use console::{measure_text_width, strip_ansi_codes};
use rollcall_client::{Event, Loss};
use rollcall_journal::Step;
use rollcall_protocol::{EntryId, Extra, Message};

use super::{
    board::{Board, Doing, Glance, Line, Row},
    picture::{height, picture, sentence},
    screen::has_room,
};

fn step(replica: &str, phase: &str, outcome: &str, reason: &str) -> Step {
    let words = ["rolling to 1.1.0", replica, phase, outcome, reason];
    let [what, replica, phase, outcome, reason] = words.map(str::to_owned);
    Step { what, replica, phase, outcome, reason, ..Step::default() }
}

fn live(replica: &str) -> Event {
    Event::AllLive { replica: replica.to_owned() }
}

fn goaway(replica: &str) -> Event {
    let [replica, reason] = [replica, "drain"].map(str::to_owned);
    Event::Goaway { replica, wait: Duration::ZERO, reason }
}

#[test]
fn clients_that_a_turn_forced_are_told_with_its_end() {
    let board = Board::default();
    board.step(&step("r1", "drain", "begun", ""));
    board.step(&Step { moved: 17, forced: 62, ..step("r1", "drain", "ok", "") });
    board.step(&step("r1", "stop", "ok", ""));
    let ended = |how: &str| how.starts_with("rolled in ") && how.ends_with(" s, 62 forced");
    let doing = board.glance().replicas[0].doing.clone();
    assert!(matches!(doing, Doing::Ended(how) if ended(&how)));
}

#[test]
fn a_turn_is_shown_step_by_step_as_the_journal_and_the_clients_tell_it() {
    let board = Board::default();
    let doing = || board.glance().replicas[0].doing.clone();
    board.step(&step("", "deploy", "begun", ""));
    assert_eq!(board.glance().title, "Rolling to 1.1.0, while everybody talks");
    board.step(&step("r1", "canary", "begun", ""));
    assert_eq!(doing(), Doing::Phase("canary".to_owned()));
    board.step(&step("r1", "drain", "begun", ""));
    for client in ["Ann", "Ben"] {
        board.saw(client, &goaway("r1"));
    }
    let [from, to] = ["r1", "r2"].map(str::to_owned);
    board.saw("Ann", &Event::Moved { from, to, silence: Duration::ZERO });
    assert_eq!(doing(), Doing::Drain { left: 1, told: 2 });
    board.step(&step("r1", "stop", "begun", ""));
    assert_eq!(doing(), Doing::Phase("stop".to_owned()));
    board.step(&step("r1", "stop", "ok", ""));
    assert!(matches!(doing(), Doing::Ended(how) if how.starts_with("rolled in ")));
    board.step(&step("r2", "canary", "failed", "errors 5 of 100\nand more"));
    let failed = &board.glance().replicas[1].doing;
    assert_eq!(*failed, Doing::Failed("canary failed: errors 5 of 100".to_owned()));
    board.step(&step("", "deploy", "done", ""));
    let news = ["Rolling to 1.1.0, while everybody talks", "r1 canary", "r1 drain", "r1 stop"];
    let told = board.news();
    assert_eq!(told[..4], news);
    assert_eq!(told[told.len() - 1], "Rolling to 1.1.0: done");
    assert!(board.news().is_empty());
    board.step(&step("", "deploy", "begun", ""));
    assert!(board.glance().replicas.is_empty(), "what a deploy before has done to them is over");
}

#[test]
fn somebody_is_where_they_are_live_and_nowhere_when_cut() {
    let board = Board::default();
    let people = || board.glance().replicas.into_iter().map(|row| row.people).collect::<Vec<_>>();
    board.connect("Ann", "r1", "1.0.0");
    assert_eq!(board.glance().here, 0);
    board.saw("Ann", &live("r1"));
    board.connect("Ann", "r2", "1.1.0");
    assert_eq!(people(), [[1, 0]], "live on the old one until the new one is");
    board.saw("Ann", &live("r2"));
    assert_eq!((board.glance().here, people()), (1, vec![vec![0, 1]]));
    let (replica, loss) = ("r2".to_owned(), Loss::Broke("reset".to_owned()));
    board.saw("Ann", &Event::Disconnected { replica, loss, abrupt: true });
    assert_eq!(board.glance().here, 0);
}

#[test]
fn figures_are_those_of_what_the_clients_got() {
    let board = Board::default();
    let message = |text: &str| Event::Message {
        message: Message {
            room: "den".to_owned(),
            id: EntryId::new(2, 0),
            prev: EntryId::new(1, 0),
            member: "m1".to_owned(),
            name: "Ann".to_owned(),
            n: 1,
            text: text.to_owned(),
            at: 2,
            extra: Extra::default(),
        },
        received: Instant::now(),
    };
    board.saw("Ben", &message("somebody else's"));
    assert_eq!(board.glance().p99, None);
    board.spoke("hello");
    board.saw("Ben", &message("hello"));
    assert!(board.glance().p99.is_some());
    let id = EntryId::new(2, 0);
    board.saw("Ben", &Event::Repeated { room: "den".to_owned(), id, after: id });
    let (room, expected) = ("den".to_owned(), EntryId::new(1, 0));
    board.saw("Ben", &Event::Broken { room, id, expected, got: id });
    assert_eq!((board.glance().twice, board.glance().lost), (1, 1));
}

fn glance() -> Glance {
    let row = |name: &str, people: [usize; 2], doing| Row {
        name: name.to_owned(),
        people: people.to_vec(),
        doing,
    };
    let line = |who: &str, words: &str| {
        let [room, who, words] = ["the-plan", who, words].map(str::to_owned);
        Line { room, who, words }
    };
    Glance {
        title: "Rolling to 1.1.0, while everybody talks".to_owned(),
        since: Duration::from_secs(74),
        here: 300,
        expected: 300,
        releases: ["1.0.0", "1.1.0"].map(str::to_owned).to_vec(),
        replicas: vec![
            row("r1", [0, 102], Doing::Ended("rolled in 8.3 s".to_owned())),
            row("r2", [66, 34], Doing::Drain { left: 34, told: 100 }),
            row("r3", [98, 0], Doing::Nothing),
        ],
        lines: vec![
            line("Teal", "Like a trapeze, but nobody claps."),
            line("漢字", &"長い".repeat(90)),
        ],
        moved: 134,
        lost: 0,
        twice: 0,
        p99: Some(Duration::from_millis(21)),
    }
}

#[test]
fn a_picture_fits_its_terminal_whatever_is_said() {
    for width in [60, 80, 200] {
        let lines = picture(&glance(), width);
        assert!(lines.len() <= height(3), "{lines:?}");
        for line in &lines {
            assert!(measure_text_width(line) < width, "{line}");
            // A colour that began has ended.
            assert_eq!(
                line.matches("\x1b[0m").count(),
                line.matches("\x1b[").count() / 2,
                "{line}"
            );
        }
    }
    let text = picture(&glance(), 100).join("\n");
    let text = strip_ansi_codes(&text);
    for words in
        ["300 of 300 are here   1:14", "1.0.0: 66  1.1.0: 34", "34 of 100 moved", "moved 134"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_same_as_one_line() {
    let told = "1:14  r1 102 on 1.1.0, rolled in 8.3 s; r2 66 on 1.0.0 + 34 on 1.1.0, drain: 34 of 100 moved; \
                r3 98 on 1.0.0; lost 0, twice 0, moved 134; p99 21 ms";
    assert_eq!(sentence(&glance()), told);
}

#[test]
fn too_small_a_terminal_gets_lines() {
    assert!(has_room((24, 80)));
    assert!(!has_room((10, 80)) && !has_room((24, 50)) && !has_room((0, 0)));
}
