//! The journal of deploys, as it grows.

use std::path::PathBuf;

use rollcall_journal::{Journal, Step};
use tokio::sync::mpsc;

use crate::event::{End, Phase, Seconds, What};

/// Tells the steps of deploys for as long as somebody listens: of one that is under way from its beginning.
pub async fn follow(path: PathBuf, out: mpsc::Sender<What>) {
    let mut journal = Journal::whole(path);
    let mut steps = under_way(journal.news().await);
    loop {
        for step in steps {
            if out.send(What::Phase(phase(step))).await.is_err() {
                return;
            }
        }
        steps = tokio::select! {
            steps = journal.next() => steps,
            () = out.closed() => return,
        };
    }
}

fn phase(step: Step) -> Phase {
    let (is_begin, is_whole) = (step.is_begin(), step.is_whole());
    Phase {
        is: if is_begin { End::Begin } else { End::End },
        seconds: step.seconds.filter(|_| !is_begin).map(Seconds),
        moved: step.moved,
        forced: step.forced,
        outcome: Some(step.outcome).filter(|_| !is_begin),
        words: Some(step.reason).filter(|words| !words.is_empty()),
        what: Some(step.what).filter(|_| is_whole),
        replica: step.replica,
        phase: step.phase,
    }
}

/// Of what a journal has told so far, the deploy that has not ended.
fn under_way(mut steps: Vec<Step>) -> Vec<Step> {
    match steps.iter().rposition(Step::is_whole) {
        Some(last) if steps[last].is_begin() => steps.split_off(last),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(replica: &str, phase: &str, outcome: &str) -> Step {
        let words = ["rolling to 1.1.0", replica, phase, outcome].map(str::to_owned);
        let [what, replica, phase, outcome] = words;
        Step { what, replica, phase, outcome, seconds: Some(1.5), ..Step::default() }
    }

    #[test]
    fn what_has_only_begun_has_neither_an_end_nor_a_time() {
        let begun = phase(step("r1", "start", "begun"));
        assert_eq!((begun.is, begun.seconds, begun.outcome), (End::Begin, None, None));
        let ended = phase(step("r1", "start", "ok"));
        assert_eq!((ended.is, ended.outcome.as_deref(), ended.what), (End::End, Some("ok"), None));
        assert!(ended.seconds.is_some());
    }

    #[test]
    fn only_a_deploy_that_is_under_way_is_told_at_the_beginning() {
        let ended =
            [step("", "deploy", "begun"), step("r1", "start", "ok"), step("", "deploy", "done")];
        assert!(under_way(ended.to_vec()).is_empty());
        let begun = [step("", "deploy", "begun"), step("r1", "start", "begun")];
        let told = under_way([&ended[..], &begun].concat());
        assert_eq!(told, begun);
        assert_eq!(phase(told[0].clone()).what.as_deref(), Some("rolling to 1.1.0"));
    }
}
