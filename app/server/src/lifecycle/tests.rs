use super::*;

#[tokio::test(start_paused = true)]
async fn moments_are_spread_evenly() {
    let life = Lifecycle::new();
    life.delivers(true, false);
    let guards: Vec<_> = (0..4).map(|_| life.connection()).collect();
    life.drain(Duration::from_secs(4), Duration::from_secs(20));
    let Phase::Draining(drain) = life.phase() else { panic!("not draining") };
    let moments: Vec<_> = guards.iter().map(|_| life.moment(drain.spread).as_secs()).collect();
    assert_eq!(moments, [0, 1, 2, 3]);
}

#[test]
fn ready_needs_the_log_and_no_drain() {
    let life = Lifecycle::new();
    assert!(!life.is_ready());
    life.delivers(true, false);
    assert!(life.is_ready());
    life.delivers(false, false);
    assert!(!life.is_ready());
    life.delivers(true, false);
    life.drain(Duration::ZERO, Duration::ZERO);
    assert!(!life.is_ready());
    life.undrain();
    assert!(life.is_ready());
}

#[test]
fn the_last_drain_is_not_cancelled_and_shortens_a_longer_one() {
    let life = Lifecycle::new();
    life.drain(Duration::ZERO, Duration::from_secs(600));
    life.last_drain(Duration::ZERO, Duration::from_secs(20));
    assert!(life.status().deadline_in_ms.is_some_and(|left| left <= 20_000));
    life.undrain();
    assert!(life.is_draining());
}

#[test]
fn a_second_drain_changes_nothing() {
    let life = Lifecycle::new();
    life.drain(Duration::from_secs(1), Duration::from_secs(2));
    let first = life.phase();
    life.count_moved();
    life.drain(Duration::from_secs(9), Duration::from_secs(90));
    assert_eq!(life.phase(), first);
    assert_eq!(life.status().moved, 1);
}

#[test]
fn s1_an_isolated_replica_gives_moments_to_the_connections_it_has() {
    let life = Lifecycle::new();
    life.delivers(true, false);
    let guards: Vec<_> = (0..2).map(|_| life.connection()).collect();
    life.delivers(false, true);
    assert!(!life.is_ready() && life.status().isolated);
    let moments: Vec<_> =
        guards.iter().map(|_| life.moment(Duration::from_secs(2)).as_secs()).collect();
    assert_eq!(moments, [0, 1]);
    life.delivers(true, false);
    assert!(life.is_ready(), "and it serves again by itself");
}
