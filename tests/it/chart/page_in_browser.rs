//! The page in a browser, of which `tests/tools/browser/page.py` has the part.

use std::env;
use std::process::Command;

use serde_json::{Value, json};

use super::audit_installed::Installed;
use crate::control_plane::ControlPlane;
use crate::control_plane::tls_http::post_review;
use crate::control_plane::wait::wait_for;
use crate::scenarios::audit_trail::losing_review;

const ODD_USER: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>\u{202e}gpj";
const ODD_NAME: &str = "a&b<i>'\u{202e}x";
/// More than a page has.
const OTHERS: usize = 70;

#[test]
fn in_a_browser_the_page_does_what_it_says_for_everybody() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    for _ in 0..3 {
        installed.refused();
    }
    installed.await_refusals(3);
    // What no API server would let through as far as this: names are those that a caller sent.
    let bundle = installed.authority();
    let pod = installed.release.pods.first().unwrap();
    let review: Value = serde_json::from_str(&losing_review()).unwrap();
    let send = |user: &str, namespace: &str, name: &str| {
        let mut review = review.clone();
        let request = &mut review["request"];
        request["userInfo"]["username"] = json!(user);
        for place in ["/object/metadata", "/oldObject/metadata", ""] {
            let at = request.pointer_mut(place).unwrap();
            at["name"] = json!(name);
            at["namespace"] = json!(namespace);
        }
        let answer = post_review(pod.address, bundle.as_bytes(), &review.to_string());
        assert_eq!(answer.unwrap().status, 200);
    };
    send(ODD_USER, "argocd", "argocd-cm");
    send(ODD_USER, "argocd", ODD_NAME);
    for other in 0..OTHERS {
        send("bob", &format!("team-{other}"), "argocd-cm");
    }
    let token = installed.viewer("auditor", None);
    wait_for("all of them to be stored", || {
        let stored = installed.collector.as_ref().unwrap();
        let stored = stored.sample("keyguard_collector_records_total ");
        let stored = stored.unwrap_or_default();
        (stored >= (OTHERS + 5) as f64)
            .then_some(())
            .ok_or_else(|| format!("{stored} records"))
    });
    let shots = env::var("KEYGUARD_SHOTS")
        .unwrap_or_else(|_| installed.file("shots").display().to_string());
    std::fs::create_dir_all(&shots).unwrap();
    let command = env::var("KEYGUARD_BROWSER").expect("tests/tools/browser/run says which");
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words)
        .env(
            "KEYGUARD_PAGE",
            format!("http://localhost:{}", installed.page().port()),
        )
        .env("KEYGUARD_TOKEN", token)
        .env("KEYGUARD_SHOTS", &shots)
        .env("KEYGUARD_NAMESPACE", &installed.namespace)
        .env("KEYGUARD_ODD_USER", ODD_USER)
        .env("KEYGUARD_ODD_NAME", ODD_NAME)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    if env::var_os("KEYGUARD_PRINT").is_some() {
        let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/page.png");
        std::fs::copy(format!("{shots}/light-timeline.png"), picture).unwrap();
    }
}
