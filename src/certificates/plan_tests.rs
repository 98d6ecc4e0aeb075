use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::config::Config;

const SECOND: Duration = Duration::from_secs(1);
/// An authority lasts 300 seconds, a leaf 90, and both authorities are trusted for 10.
pub(super) static TERMS: LazyLock<Certificates> = LazyLock::new(|| {
    let text = "certificates: {caLifetime: 300s, lifetime: 90s, overlap: 10s}";
    Config::parse("test", text).unwrap().certificates
});

/// An authority of 300 seconds.
fn authority(name: &str, from: i64) -> Authority {
    Authority {
        der: name.as_bytes().to_vec(),
        life: Life {
            from,
            to: from + 300,
        },
    }
}

fn leaf(from: i64, to: i64) -> Option<Leaf> {
    Some(Leaf {
        life: Life { from, to },
        covers_names: true,
    })
}

fn holds(current: &Authority, leaf: Option<Leaf>, next: Option<&Authority>) -> Option<Kept> {
    Some(Kept {
        current: current.clone(),
        leaf,
        next: next.cloned(),
    })
}

/// A replica that presents what `current` signed, which has been trusted for a long time.
fn seen(now: i64, kept: Option<Kept>, current: &Authority) -> Seen {
    Seen {
        now,
        kept,
        bundles: vec![vec![current.clone()]; 2],
        presented: Some(Presented {
            authority: current.clone(),
            life: current.life,
        }),
        trusted: vec![(current.clone(), 1000 * SECOND)],
        kept_unchanged_for: 1000 * SECOND,
        ..Seen::default()
    }
}

#[test]
fn what_is_written_into_the_secret_follows_from_what_it_holds() {
    let (old, new) = (authority("old", 0), authority("new", 200));
    let unnamed = Some(Leaf {
        life: Life { from: 0, to: 90 },
        covers_names: false,
    });
    let trusted = |seconds: u32| {
        let mut seen = seen(210, holds(&old, leaf(190, 280), Some(&new)), &old);
        seen.trusted.push((new.clone(), seconds * SECOND));
        seen
    };
    let fresh = |kept| Seen {
        presented: None,
        ..seen(0, kept, &old)
    };
    let untrusted = |kept| Seen {
        trusted: Vec::new(),
        ..seen(0, kept, &old)
    };
    let at = |now, leaf, next| seen(now, holds(&old, leaf, next), &old);
    let table = [
        (fresh(None), Some(Change::Create), "an empty cluster"),
        (
            seen(0, None, &old),
            Some(Change::Restore),
            "deleted or damaged",
        ),
        (
            untrusted(None),
            Some(Change::Create),
            "no webhook trusts what is presented",
        ),
        (
            seen(301, None, &old),
            Some(Change::Create),
            "what is presented has expired",
        ),
        (at(0, leaf(0, 90), None), None, "all is well"),
        (
            at(0, None, None),
            Some(Change::RenewLeaf),
            "the leaf is damaged",
        ),
        (
            at(0, unnamed, None),
            Some(Change::RenewLeaf),
            "another name",
        ),
        (at(59, leaf(0, 90), None), None, "not yet due"),
        (at(60, leaf(0, 90), None), Some(Change::RenewLeaf), "due"),
        (
            at(0, leaf(0, 301), None),
            Some(Change::RenewLeaf),
            "outlives its authority",
        ),
        (
            at(199, leaf(190, 280), None),
            None,
            "the authority is not yet due",
        ),
        (
            at(200, leaf(190, 280), None),
            Some(Change::StageNext),
            "the authority is due",
        ),
        (
            at(290, leaf(250, 300), None),
            Some(Change::StageNext),
            "another leaf would end as early",
        ),
        (
            at(210, leaf(190, 280), Some(&new)),
            None,
            "the next is not trusted yet",
        ),
        (trusted(9), None, "not for long enough"),
        (trusted(10), Some(Change::Promote), "for long enough"),
        (
            at(301, leaf(250, 300), Some(&new)),
            Some(Change::Promote),
            "nothing is left to lose",
        ),
        (
            at(301, leaf(250, 300), None),
            Some(Change::Create),
            "all has expired",
        ),
        (
            at(210, None, Some(&new)),
            Some(Change::RenewLeaf),
            "a leaf cannot wait",
        ),
    ];
    for (seen, expected, why) in table {
        assert_eq!(change(&seen, &TERMS), expected, "{why}");
    }
}

#[test]
fn a_bundle_holds_what_may_be_presented_and_foreign_cas_only_for_a_while() {
    let (old, new) = (authority("old", 0), authority("new", 200));
    let (foreign, expired) = (authority("foreign", 0), authority("expired", -500));
    let with = |bundles: &[&[&Authority]], next, unchanged_for: u32| {
        let mut seen = seen(210, holds(&old, leaf(190, 280), next), &old);
        let bundle = |bundle: &&[&Authority]| bundle.iter().copied().cloned().collect();
        seen.bundles = bundles.iter().map(bundle).collect();
        seen.kept_unchanged_for = unchanged_for * SECOND;
        bundle_names(&seen)
    };
    let table = [
        (with(&[&[&old], &[&old]], None, 0), None, "as it should be"),
        (with(&[&[], &[&old]], None, 0), Some("old"), "one is empty"),
        (
            with(&[&[&old]], Some(&new), 0),
            Some("old new"),
            "the next is published",
        ),
        (with(&[&[&new, &old]], Some(&new), 0), None, "in any order"),
        (
            with(&[&[&old, &foreign]], None, 19),
            None,
            "a foreign CA may be in use",
        ),
        (
            with(&[&[&foreign], &[&old]], None, 19),
            Some("old foreign"),
            "in every webhook",
        ),
        (
            with(&[&[&old, &foreign]], None, 20),
            Some("old"),
            "no longer",
        ),
        (
            with(&[&[&old, &expired]], None, 0),
            Some("old"),
            "it is of no use",
        ),
        (with(&[], None, 0), None, "no webhook"),
    ];
    for (names, expected, why) in table {
        assert_eq!(names.as_deref(), expected, "{why}");
    }
    let mut seen = seen(210, holds(&new, leaf(200, 280), None), &old);
    assert_eq!(
        bundle_names(&seen).as_deref(),
        Some("new old"),
        "it is still presented"
    );
    seen.kept = None;
    assert_eq!(bundle_names(&seen), None, "the Secret comes first");
}

fn bundle_names(seen: &Seen) -> Option<String> {
    let wanted = bundle(seen, &TERMS)?;
    let names = wanted
        .iter()
        .map(|authority| String::from_utf8_lossy(&authority.der));
    Some(names.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_bundle_never_grows_without_bound() {
    let current = authority("current", 0);
    let mut seen = seen(10, holds(&current, leaf(0, 90), None), &current);
    seen.kept_unchanged_for = Duration::ZERO;
    seen.bundles = vec![
        (0..100)
            .map(|number| authority(&number.to_string(), 0))
            .collect(),
    ];
    let wanted = bundle(&seen, &TERMS).unwrap();
    assert_eq!(wanted.len(), MAX_FOREIGN_CAS + 1);
}

#[test]
fn what_is_verified_is_given_up_only_for_what_has_been_verified_for_long_enough() {
    let (old, new) = (authority("old", 0), authority("new", 200));
    let fresh = leaf(210, 300);
    let with = |trusted: &[(&Authority, u32)]| {
        let mut seen = seen(210, holds(&new, fresh, None), &old);
        let trusted = trusted.iter().map(|(authority, seconds)| {
            let authority: Authority = (*authority).clone();
            (authority, *seconds * SECOND)
        });
        seen.trusted = trusted.collect();
        seen
    };
    let same = seen(210, holds(&old, fresh, None), &old);
    let none = Seen {
        presented: None,
        ..with(&[])
    };
    let table = [
        (same, true, "the same authority"),
        (none, true, "anything is better than nothing"),
        (with(&[(&old, 99), (&new, 10)]), true, "both are trusted"),
        (with(&[(&old, 99), (&new, 9)]), false, "not for long enough"),
        (with(&[(&old, 99)]), false, "the new one is not trusted"),
        (with(&[(&new, 0)]), true, "the old one is not trusted"),
        (with(&[]), true, "neither is"),
        (
            seen(210, holds(&old, None, None), &old),
            false,
            "there is none",
        ),
        (
            seen(210, holds(&old, leaf(211, 300), None), &old),
            false,
            "not yet valid",
        ),
        (seen(210, None, &old), false, "there is no Secret"),
    ];
    for (seen, expected, why) in table {
        assert_eq!(is_to_be_presented(&seen, &TERMS), expected, "{why}");
    }
}
