//! Argo CD's own Secret, and what argocd-server makes of it at its next start; whether Argo CD finds and reads it at all.

use serde_json::{Value, json};

use super::argocd_secret::{Argocd, assert_secret, guard, runtime};
use super::objects::secret;
use super::said::{refused_by, warned_of};
use crate::control_plane::users::ALICE;

const PASSWORD: &[&str] = &["argocd-secret/password-changed"];
const UNREADABLE: &[&str] = &["argocd-secret/unreadable"];
const DELETED: &[&str] = &["argocd-secret/deleted"];

fn without(key: &str) -> Value {
    json!({"data": {key: null}})
}

#[test]
fn what_the_next_start_of_argocd_server_ends_is_refused_and_its_own_writing_is_not() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "start-argocd");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    runtime(&guard, "start-runtime", &used);
    let unreadable = json!({"admin.passwordMtime": "2026-11-26T08:00:00UTC"});
    let refused = [
        argocd.patch(ALICE, &without("admin.passwordMtime")),
        argocd.patch(ALICE, &without("admin.password")),
        argocd.put(&unreadable),
    ];
    for finished in refused {
        let text = refused_by(finished, PASSWORD);
        assert!(text.contains("at its next start"), "{text}");
        assert_secret(&[&used.text(), &argocd.key], &text);
    }
    // With admin switched off the next start writes nothing.
    let off = json!({"data": {"admin.enabled": "false", "accounts.admin.enabled": "true"}});
    let patch = format!("--patch={off}");
    let patch = ["patch", "configmap/argocd-cm", "--type=merge", &patch];
    warned_of(argocd.scene.alice().run(patch), &[]);

    // Where there is no time that can be read, argocd-server writes one, and drops one in saving the account.
    let other = Argocd::without_time(&guard, "start-other");
    let used = other.token();
    warned_of(other.list(&[&used]), &[]);
    runtime(&guard, "start-other-runtime", &used);
    let now = json!({"admin.passwordMtime": "2026-11-26T08:00:00Z"});
    warned_of(other.put(&now), PASSWORD);
}

#[test]
fn a_label_that_hides_it_and_a_certificate_that_nobody_can_read_are_refused() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "hidden-argocd");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    runtime(&guard, "hidden-runtime", &used);
    let label =
        |value: &str| json!({"metadata": {"labels": {"argocd.argoproj.io/secret-type": value}}});
    let text = refused_by(argocd.patch(ALICE, &label("cluster")), DELETED);
    assert!(text.contains("secret-type: cluster"), "{text}");
    warned_of(argocd.patch(ALICE, &label("repository")), &[]);

    let broken = json!({"tls.crt": "no certificate", "tls.key": "no key"});
    refused_by(argocd.put(&broken), UNREADABLE);
    // One without the other is not read.
    warned_of(argocd.put(&json!({"tls.crt": "no certificate"})), &[]);
    warned_of(argocd.patch(ALICE, &without("tls.crt")), &[]);
    // argocd-server takes the certificate of the other Secret first.
    let made = rcgen::generate_simple_self_signed(["argocd-server".to_owned()]);
    let made = made.expect("a certificate");
    let mut server_tls = secret("argocd-server-tls", "tls.crt", made.cert.pem());
    server_tls["stringData"] = json!({"tls.key": made.signing_key.serialize_pem()});
    argocd.scene.create(&[server_tls]).expect_silence();
    warned_of(argocd.put(&broken), &[]);
}
