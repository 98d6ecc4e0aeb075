//! Who may send records to the collector and ask for them, and what one who sends too much costs the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::audit_installed::Installed;
use crate::control_plane::ControlPlane;
use crate::control_plane::tls_http::{Asked, ask_as};
use crate::control_plane::wait::wait_for;

#[test]
fn nobody_sends_who_is_no_replica_and_nobody_reads_who_may_not() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    installed.refused();
    let record = installed.await_refusals(1).remove(0);
    let collector = installed.collector.as_ref().unwrap();
    let authority = installed.authority();
    let replica = record["replica"].as_str().unwrap();
    let sender = installed
        .release
        .token("keyguard", "keyguard-audit", replica);
    let unbound = installed.token_of("keyguard", "keyguard-audit");
    let other_audience = installed.release.token("keyguard", "another", replica);
    let other_account = installed.token_of("keyguard-audit", "keyguard-audit");
    let reader = installed.token_of("reader", "keyguard-audit");
    let line = format!("{record}\n");
    let forged = line.replace(replica, "keyguard-other");
    let large = "x".repeat(10 << 20);
    let many = line.repeat(1_001);
    let newer = line.replace("\"uid\"", "\"later\":1,\"uid\"");
    let post = "POST /records";
    let table = [
        (post, "", &*line, 401, "send a ServiceAccount token"),
        (post, "none", &line, 401, "send a ServiceAccount token"),
        (
            post,
            &*other_audience,
            &line,
            401,
            "send a ServiceAccount token",
        ),
        (
            post,
            &other_account,
            &line,
            403,
            "may not post /keyguard/audit",
        ),
        (post, &reader, &line, 403, "may not post /keyguard/audit"),
        (post, &unbound, &line, 403, "was not made for a pod"),
        (
            post,
            &sender,
            &forged,
            403,
            "is of replica \"keyguard-other\"",
        ),
        (post, &sender, "{\"id\":", 400, "line 1 is no record"),
        (
            post,
            &sender,
            &newer,
            400,
            "bring the collector to the version",
        ),
        (post, &sender, &many, 413, "1000 records"),
        (post, &sender, &large, 413, "1000 records"),
        ("GET /records", "", "", 401, "send a ServiceAccount token"),
        (
            "GET /records",
            &sender,
            "",
            403,
            "may not get /keyguard/audit",
        ),
        ("GET /records?decison=deny", &reader, "", 400, "decison"),
        ("GET /records?limit=0", &reader, "", 400, "limit is from 1"),
        ("GET /log/", &other_account, "", 403, "may not get"),
        (
            "GET /log/2001-W01/checkpoint",
            &reader,
            "",
            404,
            "nothing at this path",
        ),
        (
            "GET /records?decision=deny&limit=1",
            &reader,
            "",
            200,
            "\"records\":[{",
        ),
    ];
    for (line, token, body, status, part) in table {
        let asked = Asked {
            address: collector.address,
            name: "localhost",
            authority: authority.as_bytes(),
            token,
        };
        let answer = ask_as(&asked, line, body).unwrap();
        assert_eq!(answer.status, status, "{line} {body:.80}: {}", answer.body);
        assert!(answer.body.contains(part), "{line}: {}", answer.body);
        assert!(!answer.body.contains(token) || token.is_empty(), "{line}");
    }
    // A record that is there already is not stored again.
    let asked = Asked {
        address: collector.address,
        name: "localhost",
        authority: authority.as_bytes(),
        token: &sender,
    };
    let answer = ask_as(&asked, post, &line).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("\"new\":0"), "{}", answer.body);
    assert_eq!(installed.records(&["--decision=deny"]).unwrap().len(), 1);
    let output = collector.output();
    for token in [&sender, &reader, &unbound] {
        assert!(!output.contains(token.as_str()));
    }
    installed.verified(&installed.store());
}

#[test]
fn one_that_floods_waits_for_itself_and_the_records_of_others_are_stored() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    installed.refused();
    let record = installed.await_refusals(1).remove(0);
    let collector = installed.collector.as_ref().unwrap();
    let authority = installed.authority();
    let flooding = installed
        .release
        .token("keyguard", "keyguard-audit", "keyguard-flood");
    let asked = Asked {
        address: collector.address,
        name: "localhost",
        authority: authority.as_bytes(),
        token: &flooding,
    };
    let batch = |number: usize| {
        let id = record["id"].as_str().unwrap();
        let replica = record["replica"].as_str().unwrap();
        let line = |index: usize| {
            let line = record.to_string().replace(replica, "keyguard-flood");
            let line = line.replace(&installed.namespace, "flood");
            line.replace(id, &format!("flood-{number}-{index}")) + "\n"
        };
        (0..500).map(line).collect::<String>()
    };
    let (done, stored, busy) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for sender in 0..8 {
            let (asked, done, stored, busy) = (&asked, &done, &stored, &busy);
            scope.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer =
                        ask_as(asked, "POST /records", &batch(sender * 100_000 + number)).unwrap();
                    match answer.status {
                        200 => stored.fetch_add(1, Ordering::Relaxed),
                        429 => busy.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{} {}", answer.status, answer.body),
                    };
                }
            });
        }
        wait_for("a flood", || {
            let (stored, busy) = (stored.load(Ordering::Relaxed), busy.load(Ordering::Relaxed));
            (stored > 2 && busy > 20)
                .then_some(())
                .ok_or_else(|| format!("{stored} {busy}"))
        });
        for _ in 0..5 {
            installed.refused();
        }
        installed.await_refusals(6);
        done.store(true, Ordering::Relaxed);
    });
    installed.verified(&installed.store());
}
