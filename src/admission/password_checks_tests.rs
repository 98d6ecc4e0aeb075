use super::*;
use keyguard_core::runtime::secret_bytes::Version;
use std::task::Poll;

/// Of "correct horse".
const HASH: &str = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";

fn hash() -> PasswordHash {
    PasswordHash::read(HASH.as_bytes()).unwrap()
}

fn password(text: &str, version: Option<&str>) -> SecretBytes {
    let bytes = SecretBytes::new(Zeroizing::new(text.as_bytes().to_vec()));
    bytes.at(version.map(|version| Version {
        uid: "uid".to_owned(),
        resource_version: version.to_owned(),
    }))
}

fn candidate<'a>(password: &'a SecretBytes, key: &'a str) -> Candidate<'a> {
    Candidate {
        namespace: "gitops",
        key,
        password,
    }
}

fn remembered(checks: &PasswordChecks) -> usize {
    lock(&checks.verdicts).0.len()
}

#[tokio::test]
async fn a_verdict_is_remembered_by_hash_version_and_key_and_by_nothing_of_the_password() {
    let checks = PasswordChecks::default();
    let good = password("correct horse", Some("1"));
    assert_eq!(
        checks.matches(hash(), &candidate(&good, "a")).await,
        Ok(true)
    );
    assert_eq!(remembered(&checks), 1);
    // The same version cannot hold another password: what is remembered answers.
    let impossible = password("wrong", Some("1"));
    assert_eq!(
        checks.matches(hash(), &candidate(&impossible, "a")).await,
        Ok(true)
    );
    assert_eq!(remembered(&checks), 1);
    for (text, version, key, expected) in [
        ("wrong", "2", "a", false),
        ("wrong", "1", "b", false),
        ("correct horse", "3", "a", true),
    ] {
        let password = password(text, Some(version));
        let matches = checks.matches(hash(), &candidate(&password, key)).await;
        assert_eq!(matches, Ok(expected), "{text} {version} {key}");
    }
    assert_eq!(remembered(&checks), 4);
    let other = HASH.replace("COQ1", "COQ2");
    let other = PasswordHash::read(other.as_bytes()).unwrap();
    assert_eq!(
        checks.matches(other, &candidate(&good, "a")).await,
        Ok(false)
    );
}

#[tokio::test]
async fn what_has_no_version_is_compared_each_time() {
    let checks = PasswordChecks::default();
    for (text, expected) in [
        ("correct horse", true),
        ("wrong", false),
        ("correct horse", true),
    ] {
        let password = password(text, None);
        assert_eq!(
            checks.matches(hash(), &candidate(&password, "a")).await,
            Ok(expected)
        );
    }
    assert_eq!(remembered(&checks), 0);
}

#[tokio::test]
async fn no_more_is_remembered_than_there_is_room_for() {
    let checks = PasswordChecks::default();
    for number in 0..REMEMBERED + 10 {
        let password = password("wrong", Some(&number.to_string()));
        let matches = checks.matches(hash(), &candidate(&password, "a")).await;
        assert_eq!(matches, Ok(false));
    }
    assert_eq!(remembered(&checks), REMEMBERED);
}

#[tokio::test]
async fn the_same_wrong_password_at_once_is_compared_once() {
    let checks = PasswordChecks::default();
    let wrong = password("wrong", Some("1"));
    let candidate = candidate(&wrong, "a");
    let all = (0..200).map(|_| checks.matches(hash(), &candidate));
    let verdicts = futures_util::future::join_all(all).await;
    let turned_away = verdicts
        .iter()
        .filter(|verdict| **verdict == Err(Unverified::Busy));
    let turned_away = turned_away.count();
    let compared = verdicts.iter().filter(|verdict| **verdict == Ok(false));
    assert_eq!(compared.count() + turned_away, 200);
    assert!(turned_away <= 200 - MOST_IN_NAMESPACE, "{turned_away}");
    assert_eq!(remembered(&checks), 1);
}

#[tokio::test]
async fn so_many_wait_that_there_is_room_for_other_reviews() {
    let checks = PasswordChecks::default();
    let wrong: Vec<SecretBytes> = (0..200)
        .map(|number| password("wrong", Some(&number.to_string())))
        .collect();
    let namespaces: Vec<String> = (0..200)
        .map(|number| format!("ns-{}", number % 8))
        .collect();
    let candidates: Vec<Candidate<'_>> = (wrong.iter().zip(&namespaces))
        .map(|(password, namespace)| Candidate {
            namespace,
            ..candidate(password, "a")
        })
        .collect();
    let all = candidates
        .iter()
        .map(|candidate| checks.matches(hash(), candidate));
    let verdicts = futures_util::future::join_all(all).await;
    let compared = verdicts.iter().filter(|verdict| **verdict == Ok(false));
    let compared = compared.count();
    // A few more than have room at once: those that came when the first had gone.
    assert!((MOST..MOST + 16).contains(&compared), "{compared}");
    // Afterwards there is room again.
    let good = password("correct horse", Some("other"));
    let matches = checks.matches(hash(), &candidate(&good, "a")).await;
    assert_eq!(matches, Ok(true));
    assert_eq!(lock(&checks.namespaces).len(), 1);
}

#[tokio::test]
async fn who_has_many_to_compare_keeps_nobody_else_waiting() {
    let checks = PasswordChecks::default();
    // Dear, so that the first comparison lasts until all have asked.
    let dear = HASH.replace("$04$", "$08$");
    let dear = || PasswordHash::read(dear.as_bytes()).unwrap();
    let many: Vec<SecretBytes> = (0..10)
        .map(|number| password("wrong", Some(&number.to_string())))
        .collect();
    let candidates = many.iter().map(|password| candidate(password, "a"));
    let candidates: Vec<Candidate<'_>> = candidates.collect();
    let flood = candidates
        .iter()
        .map(|candidate| checks.matches(dear(), candidate));
    let flood = futures_util::future::join_all(flood);
    let good = password("correct horse", Some("other"));
    let other = Candidate {
        namespace: "elsewhere",
        ..candidate(&good, "a")
    };
    let single = checks.matches(hash(), &other);
    let (_, matches) = tokio::join!(flood, single);
    assert_eq!(matches, Ok(true));
    // The verdicts stand in the order of the comparisons. One of the flood was before it.
    let verdicts = lock(&checks.verdicts);
    let before = verdicts.0.iter().take_while(|(_, matches)| !matches);
    assert_eq!(before.count(), 1);
    drop(verdicts);
    assert!(lock(&checks.namespaces).len() <= 2);
}

#[tokio::test]
async fn a_comparison_that_nobody_waits_for_ends_and_holds_its_turn_until_then() {
    let checks = PasswordChecks::default();
    let dear = HASH.replace("$04$", "$08$");
    let dear = PasswordHash::read(dear.as_bytes()).unwrap();
    let wrong = password("wrong", Some("1"));
    {
        let candidate = candidate(&wrong, "a");
        let mut given_up = std::pin::pin!(checks.matches(dear, &candidate));
        // Polled once, so that it begins; then dropped.
        let begun = std::future::poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context)));
        assert!(begun.await.is_pending());
    }
    let good = password("correct horse", Some("2"));
    assert_eq!(
        checks.matches(hash(), &candidate(&good, "a")).await,
        Ok(true)
    );
    assert_eq!(remembered(&checks), 2);
}

#[tokio::test]
async fn a_hash_that_costs_too_much_is_not_compared() {
    let checks = PasswordChecks::default();
    let dear = HASH.replace("$04$", "$16$");
    let dear = PasswordHash::read(dear.as_bytes()).unwrap();
    let good = password("correct horse", Some("1"));
    assert_eq!(
        checks.matches(dear, &candidate(&good, "a")).await,
        Err(Unverified::Cost(16))
    );
}
