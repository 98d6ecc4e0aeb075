//! The page of the collector: who sees what of it, asked as a browser does.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};

use super::audit_installed::Installed;
use super::install::argocd;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::Authority;
use crate::control_plane::plain_http::ask;
use crate::control_plane::tls_http::{get_with, post_review};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;
use crate::scenarios::audit_trail::losing_review;

const SESSION: &str = "__Host-keyguard-session";

/// Somebody at a browser.
struct Browser {
    page: SocketAddr,
    cookie: String,
}

/// An answer's status code, and all of it.
struct Seen(u16, String);

impl Seen {
    #[track_caller]
    fn expect(self, status: u16, said: &str) -> String {
        assert_eq!(self.0, status, "{}", self.1);
        assert!(self.1.contains(said), "{said}: {}", self.1);
        self.1
    }
}

impl Browser {
    fn new(page: SocketAddr) -> Browser {
        Browser {
            page,
            cookie: String::new(),
        }
    }

    fn send(&self, line: &str, headers: &[&str], body: &str) -> Seen {
        let cookie = format!("Cookie: zone=x; {SESSION}={}", self.cookie);
        let headers = [&[cookie.as_str()], headers].concat();
        let text = ask(self.page, line, &headers, body).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        Seen(status, text)
    }

    fn get(&self, path: &str) -> Seen {
        self.send(&format!("GET {path}"), &[], "")
    }

    /// Types a token into the form.
    fn sign_in(page: SocketAddr, token: &str) -> Browser {
        let mut browser = Browser::new(page);
        let form = format!("next=%2F%3Fdecision%3Ddeny&token=%0A{token}+");
        let origin = format!("Origin: http://{page}");
        let seen = browser.send("POST /sign-in", &[&origin], &form);
        let text = seen.expect(303, "location: /?decision=deny");
        let cookie = text.split_once(&format!("{SESSION}=")).unwrap().1;
        let (cookie, attributes) = cookie.split_once("; ").unwrap();
        assert!(attributes.starts_with("Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"));
        assert!(!text.contains(token), "the token comes back");
        browser.cookie = cookie.to_owned();
        browser
    }
}

impl Installed<'_> {
    pub(super) fn page(&self) -> SocketAddr {
        self.collector.as_ref().unwrap().page
    }

    /// An account of that name that may look, in one namespace or in all, and its token.
    pub(super) fn viewer(&self, name: &str, namespace: Option<&str>) -> String {
        let kubectl = || self.release.kubectl();
        let account = format!("--serviceaccount=keyguard:{name}");
        kubectl()
            .run(["create", "serviceaccount", name])
            .expect_ok();
        let role = "--clusterrole=keyguard-audit-viewer";
        match namespace {
            Some(namespace) => self.plane.kubectl().namespace(namespace).run([
                "create",
                "rolebinding",
                name,
                role,
                &account,
            ]),
            None => kubectl().run(["create", "clusterrolebinding", name, role, &account]),
        }
        .expect_ok();
        self.token_of(name, "keyguard-audit")
    }
}

#[test]
fn each_sees_what_rbac_lets_them_see_until_it_is_taken_away() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    installed.refused();
    let record = installed.await_refusals(1).remove(0);
    // Another team, in whose namespace there is another Argo CD.
    let other = plane.fresh_namespace("other");
    argocd(&plane, &other);
    let patch = ["patch", "configmap", "argocd-cm", "--type=merge"];
    let data = r#"--patch={"data":{"accounts.admin":"login"}}"#;
    let patched = plane.kubectl().as_user(ALICE).namespace(&other);
    patched
        .run(patch.into_iter().chain([data]))
        .expect_refused();

    let page = installed.page();
    let own = format!("/decisions/{}", record["id"].as_str().unwrap());
    let nobody = Browser::new(page);
    for path in ["/", "/counts", "/export?format=csv", &own] {
        let seen = nobody.get(path).expect(401, "kubectl create token NAME");
        assert!(!seen.contains("argocd-cm"), "{seen}");
    }
    let auditor = Browser::sign_in(page, &installed.viewer("auditor", None));
    let team = Browser::sign_in(page, &installed.viewer("team", Some(&installed.namespace)));
    let rows = |seen: &str, namespace: &str| seen.contains(&format!("</strong> in {namespace}<"));
    wait_for("both refusals on the page", || {
        let seen = auditor.get("/?decision=deny").expect(200, "Refused");
        let both = rows(&seen, &installed.namespace) && rows(&seen, &other);
        both.then_some(()).ok_or(seen)
    });
    let seen = team
        .get("/?decision=deny")
        .expect(200, "You see the namespaces");
    assert!(
        rows(&seen, &installed.namespace) && !seen.contains(&other),
        "{seen}"
    );
    team.get(&own).expect(200, "Its place in the log");
    team.get(&format!("/?namespace={other}"))
        .expect(403, "may not list decisions.keyguard.dev");
    team.get("/counts")
        .expect(403, "Counts are of all namespaces");
    auditor
        .get("/counts")
        .expect(200, "accounts/api-key-removed");
    let exported = team.get("/export?format=csv").expect(200, "attachment");
    assert!(exported.contains(&installed.namespace) && !exported.contains(&other));
    let elsewhere = auditor.get(&format!("/export?format=jsonl&namespace={other}"));
    let elsewhere = elsewhere.expect(200, "application/jsonl");
    let line = elsewhere.lines().last().unwrap();
    let elsewhere: serde_json::Value = serde_json::from_str(line).unwrap();
    let elsewhere = format!("/decisions/{}", elsewhere["id"].as_str().unwrap());
    team.get(&elsewhere).expect(404, "nothing that you may see");
    auditor.get(&elsewhere).expect(200, &other);

    // Who may see nothing.
    let create = ["create", "serviceaccount", "idle"];
    installed.release.kubectl().run(create).expect_ok();
    let form = format!("token={}", installed.token_of("idle", "keyguard-audit"));
    let seen = nobody.send("POST /sign-in", &[], &form);
    let seen = seen.expect(403, "in any namespace that has records");
    assert!(!seen.contains(SESSION), "{seen}");

    // What is forged, of another server, or taken away.
    let forged = |cookie: &str| Browser {
        page,
        cookie: cookie.to_owned(),
    };
    for cookie in ["x", &auditor.cookie[1..], &format!("{}A", auditor.cookie)] {
        forged(cookie).get("/").expect(401, "Sign in");
    }
    let headers = [
        "X-Forwarded-User: auditor",
        "X-Forwarded-Groups: system:masters",
    ];
    nobody.send("GET /", &headers, "").expect(401, "Sign in");
    let foreign = ["Origin: http://evil.example"];
    auditor
        .send("POST /sign-out", &foreign, "")
        .expect(403, "another site");
    let kubectl = || plane.kubectl().namespace(&installed.namespace);
    kubectl().run(["delete", "rolebinding", "team"]).expect_ok();
    team.get(&own).expect(404, "nothing that you may see");
    wait_for("the right to be gone from the list too", || {
        let seen = team.get("/");
        let is_gone = seen.0 == 403 && seen.1.contains("may not list decisions.keyguard.dev");
        is_gone.then_some(()).ok_or(seen.1)
    });
    let accounts = || installed.release.kubectl();
    accounts()
        .run(["delete", "serviceaccount", "team"])
        .expect_ok();
    wait_for("the token to end with its account", || {
        let seen = team.get("/");
        (seen.0 == 401).then_some(()).ok_or(seen.1)
    });
    auditor.get("/").expect(200, "Sign out");
    auditor
        .send("POST /sign-out", &[], "")
        .expect(303, "Max-Age=0");
    auditor.get("/").expect(401, "Sign in");

    // Who looked is in the log, and it is whole.
    let collector = installed.collector.as_ref().unwrap();
    let output = collector.output();
    assert!(
        output.contains("system:serviceaccount:keyguard:auditor"),
        "{output}"
    );
    let mut refused = output.lines().filter(|it| it.contains("is refused a look"));
    let other = format!("/?namespace={other}");
    let is_told = refused.any(|it| it.contains("keyguard:team") && it.contains(&other));
    assert!(is_told, "{output}");
    assert!(!output.contains("panic"), "{output}");
    let said = installed.verified(&installed.store());
    assert!(said.contains("intact"), "{said}");
}

#[test]
fn a_proxy_that_shows_its_certificate_says_who_looks_and_nobody_else_gets_in() {
    let plane = ControlPlane::bare();
    let workspace = Workspace::new();
    let authority = Authority::new(&workspace);
    let issue = |name| {
        let workspace = Workspace::new();
        let certificate = authority.issue_for_client(name, &workspace);
        (certificate, workspace)
    };
    let (proxy, _kept) = issue("oauth2-proxy");
    let (another, _kept_too) = issue("another");
    let values = [
        "audit.page.exposed=true",
        "audit.page.proxy.caSecretName=page-ca",
        "audit.page.proxy.names={oauth2-proxy}",
    ];
    let installed = Installed::with(&plane, &values, |kubectl| {
        let from = format!("--from-file={}", authority.certificate.display());
        let create = ["create", "secret", "generic", "page-ca", &from];
        kubectl.run(create).expect_ok();
    });
    installed.refused();
    installed.await_refusals(1);
    let bundle = installed.authority();
    let get = |client, headers: &str| {
        let page = installed.page();
        get_with(client, page, bundle.as_bytes(), "/?decision=deny", headers)
    };
    let alice = "X-Forwarded-User: alice@example.com\r\nX-Forwarded-Groups: sec,dev\r\n";
    for client in [None, Some(&another)] {
        let refused = get(client, alice).unwrap_err();
        assert_ne!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    let refused = get(Some(&proxy), alice).unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("alice@example.com may not list"));
    let bind = ["create", "clusterrolebinding", "sec", "--group=sec"];
    let role = "--clusterrole=keyguard-audit-viewer";
    let bound = installed.release.kubectl();
    bound.run(bind.into_iter().chain([role])).expect_ok();
    wait_for("the page", || {
        let seen = get(Some(&proxy), alice).map_err(|error| error.to_string())?;
        let has_it = seen.status == 200 && seen.body.contains("Refused</a>");
        has_it.then_some(()).ok_or(seen.body)
    });
    let nobody = get(Some(&proxy), "").unwrap();
    assert!(nobody.body.contains("must send X-Forwarded-User once"));
}

#[test]
fn what_a_scan_found_is_shown_of_the_namespaces_that_one_may_see() {
    let plane = ControlPlane::bare();
    let file = "/tests/fixtures/report-schemas/wgpolicyk8s.io_policyreports.yaml";
    let file = format!("{}{file}", env!("CARGO_MANIFEST_DIR"));
    plane.kubectl().run(["apply", "-f", &file]).expect_ok();
    let crd = "crd/policyreports.wgpolicyk8s.io";
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", crd];
    plane.kubectl().run(wait).expect_ok();
    let installed = Installed::new(&plane, &["scan.enabled=true"]);
    installed.refused();
    installed.await_refusals(1);
    let hidden = plane.fresh_namespace("hidden");
    for namespace in [&installed.namespace, &hidden] {
        let report = serde_json::json!({
            "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
            "metadata": {"name": "keyguard", "labels": {"app.kubernetes.io/managed-by": "keyguard"}},
            "results": [{
                "policy": "keyguard", "rule": "credentials/secret-missing", "result": "fail",
                "message": format!("Secret <b>absent</b> of {namespace}"),
                "timestamp": {"seconds": 1_700_000_000, "nanos": 0},
                "resources": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "runtime"}],
            }],
        });
        let create = plane
            .kubectl()
            .namespace(namespace)
            .stdin(report.to_string());
        create.run(["create", "-f", "-"]).expect_ok();
    }
    let auditor = Browser::sign_in(installed.page(), &installed.viewer("auditor", None));
    let seen = auditor.get("/scan").expect(200, "Deployment runtime");
    assert!(seen.contains(&hidden) && !seen.contains("<b>"), "{seen}");
    assert!(seen.contains("does not work, since 2023-11-14"), "{seen}");
    let token = installed.viewer("team", Some(&installed.namespace));
    let team = Browser::sign_in(installed.page(), &token);
    let seen = team.get("/scan").expect(200, "credentials/secret-missing");
    assert!(!seen.contains(&hidden), "{seen}");
    let path = format!("/scan?namespace={hidden}");
    team.get(&path)
        .expect(403, "may not list decisions.keyguard.dev");
}

#[test]
fn a_hundred_browsers_at_once_are_all_answered() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    installed.refused();
    installed.await_refusals(1);
    let auditor = Browser::sign_in(installed.page(), &installed.viewer("auditor", None));
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for path in ["/", "/?decision=deny", "/counts"] {
                    auditor.get(path).expect(200, "keyguard");
                }
            });
        }
    });
    // What one looks at again and again is on record now and then.
    let output = installed.collector.as_ref().unwrap().output();
    let looks = output.matches("somebody looks at the audit trail").count();
    assert!((3..=30).contains(&looks), "{looks}");
    let mut users = 0..1_000;
    let is_refused = users.any(|user| auditor.get(&format!("/?user={user}")).0 == 429);
    assert!(is_refused, "nothing bounds how much is looked at");
}

#[test]
fn of_more_namespaces_than_are_asked_about_one_names_ones_own() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    let own = plane.fresh_namespace("zz");
    let bundle = installed.authority();
    let pod = installed.release.pods.first().unwrap();
    let mut review: Value = serde_json::from_str(&losing_review()).unwrap();
    let others = (0..=100).map(|other| format!("team-{other}"));
    for namespace in others.chain([own.clone()]) {
        for place in ["/object/metadata", "/oldObject/metadata", ""] {
            let at = review["request"].pointer_mut(place).unwrap();
            at["namespace"] = json!(namespace);
        }
        let answer = post_review(pod.address, bundle.as_bytes(), &review.to_string());
        assert_eq!(answer.unwrap().status, 200);
    }
    let auditor = Browser::sign_in(installed.page(), &installed.viewer("auditor", None));
    wait_for("the last of them to be stored", || {
        let seen = auditor.get(&format!("/?namespace={own}"));
        let is_there = seen.1.contains(&format!("</strong> in {own}<"));
        is_there.then_some(()).ok_or(seen.1)
    });
    let team = Browser::sign_in(installed.page(), &installed.viewer("team", Some(&own)));
    for path in ["/", "/scan", "/export?format=csv"] {
        team.get(path)
            .expect(400, "Name the one that you want to see");
    }
    let seen = team.get(&format!("/?namespace={own}"));
    seen.expect(200, &format!("</strong> in {own}<"));
    let exported = team.get(&format!("/export?format=csv&namespace={own}"));
    exported.expect(200, &own);
}
