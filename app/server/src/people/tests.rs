use super::*;
use crate::accounts::{MemoryAccounts, Store};

fn seen(member: &str, session: Option<&str>) -> Seen {
    Seen { member: member.to_owned(), session: session.map(str::to_owned) }
}

fn arrived(people: &People, member: &str, session: Option<&str>) -> Stay {
    people.arrive(people.changes(), &seen(member, session), None).expect("nothing changed")
}

async fn told(stay: &mut Stay) -> Option<Dismissed> {
    tokio::time::timeout(Duration::from_millis(1), stay.dismissed()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_takes_its_connections_and_no_others() {
    let people = People::default();
    let mut one = arrived(&people, "ada", Some("s1"));
    let mut other = arrived(&people, "ada", Some("s2"));
    let mut guest = arrived(&people, "guest", None);
    people.hear(&Dismissal::SignedOut("s1".to_owned()).control("ada"));
    assert_eq!(told(&mut one).await, Some(Dismissed::SignedOut));
    assert_eq!(told(&mut other).await, None);
    people.hear(&Dismissal::SignedOutEverywhere.control("ada"));
    assert_eq!(told(&mut other).await, Some(Dismissed::SignedOut));
    people.hear(&Dismissal::SignedOutEverywhere.control("guest"));
    assert_eq!(told(&mut guest).await, None, "a guest has no session");
    people.hear(&Dismissal::Banned.control("guest"));
    assert_eq!(told(&mut guest).await, Some(Dismissed::Banned));
    assert_eq!(people.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_one_device_read_the_others_of_the_same_person_hear() {
    let people = People::default();
    let mut ada = Some(arrived(&people, "ada", Some("s1")));
    let mut bob = Some(arrived(&people, "bob", Some("s2")));
    let read = ReadUpTo { room: "hall".to_owned(), id: EntryId::new(7, 1) };
    people.hear(&read.control("ada"));
    assert_eq!(news(&mut ada).await, News::Read(read));
    let nothing = tokio::time::timeout(Duration::from_secs(1), news(&mut bob)).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn whoever_was_looked_up_before_a_change_is_looked_up_again() {
    let people = People::default();
    let before = people.changes();
    people.hear(&Dismissal::Banned.control("ada"));
    assert!(people.arrive(before, &seen("ada", None), None).is_none());
    let before = people.changes();
    people.doubt();
    assert!(people.arrive(before, &seen("ada", None), None).is_none());
}

#[test]
fn what_is_told_is_understood_and_what_is_not_known_is_nothing() {
    for dismissal in [
        Dismissal::Banned,
        Dismissal::SignedOutEverywhere,
        Dismissal::SignedOut("00ff".to_owned()),
        Dismissal::Changed,
    ] {
        assert_eq!(Dismissal::read(&dismissal.control("ada")), Some(dismissal));
    }
    let kick = Control { what: "kick".to_owned(), ..Dismissal::Banned.control("ada") };
    assert_eq!(Dismissal::read(&kick), None);
}

#[test]
fn places_are_given_back() {
    let people = People::default();
    let held: Vec<_> = (0..3).map(|_| arrived(&people, "ada", None)).collect();
    assert_eq!(people.count(), 3);
    drop(held);
    assert!(people.here().members.is_empty());
}

/// A guest who came while bans could not be looked up stayed for as long as their connection lasted.
#[tokio::test(start_paused = true)]
async fn a_look_at_all_who_are_here_finds_banned_guests() {
    let accounts = Accounts::new(Store::Memory(MemoryAccounts::default()), Duration::from_secs(1));
    let people = People::default();
    let mut banned = arrived(&people, "guest", None);
    let mut other = arrived(&people, "other", None);
    assert!(accounts.ban("guest", None).await.expect("a store in memory"));
    people.look(&accounts).await.expect("a store in memory");
    assert_eq!(told(&mut banned).await, Some(Dismissed::Banned));
    assert_eq!(told(&mut other).await, None);
}
