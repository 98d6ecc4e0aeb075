//! A release that changes while it is asked.

use super::install::{argocd, asked};
use super::release::Release;
use crate::control_plane::ControlPlane;
use crate::control_plane::wait::wait_for;
use crate::scenarios::load::under_load;

#[test]
fn an_upgrade_and_a_rollback_drop_nothing_and_refuse_nothing_that_they_should_not() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("argocd");
    argocd(&plane, &namespace);
    let quick = "config.timeouts.drainGrace=1s";
    let mut release = Release::install(&plane, &[quick]);
    release.start_pods();
    let ask = || asked(&plane, &namespace);
    let ((), tally) = under_load(&[&ask, &ask, &ask], || {
        release.upgrade(&[
            quick,
            "config.exemptNamespaces={sandbox}",
            "config.onError=allow",
        ]);
        release.roll();
        release.helm(["rollback", "keyguard", "1"]).expect_ok();
        release.roll();
    });
    println!(
        "upgrade and rollback, two pods replaced each time: {} pairs of changes asked, {} answered wrongly",
        tally.right,
        tally.wrong.len()
    );
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 100, "{}", tally.right);
}

#[test]
fn an_upgrade_leaves_the_ca_bundle_that_keyguard_wrote() {
    let plane = ControlPlane::bare();
    let mut release = Release::install(&plane, &[]);
    release.start_pods();
    let before = release.bundles();
    assert_eq!(before.len(), 3);
    // Nobody is there to mend it.
    release.stop_pods();
    release.upgrade(&[
        "config.exemptNamespaces={sandbox}",
        "webhook.failurePolicy=Ignore",
    ]);
    let webhooks = release.get("validatingwebhookconfiguration", "keyguard")["webhooks"].clone();
    assert_eq!(webhooks[0]["failurePolicy"], "Ignore");
    assert_eq!(release.bundles(), before);
    release.helm(["rollback", "keyguard", "1"]).expect_ok();
    let webhooks = release.get("validatingwebhookconfiguration", "keyguard")["webhooks"].clone();
    assert_eq!(webhooks[0]["failurePolicy"], "Fail");
    assert_eq!(release.bundles(), before);
}

#[test]
fn an_upgrade_switches_on_again_what_somebody_switched_off() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("argocd");
    argocd(&plane, &namespace);
    let mut release = Release::install(&plane, &[]);
    release.start_pods();
    wait_for("the webhooks to be in effect", || asked(&plane, &namespace));
    let off = ["delete", "validatingwebhookconfiguration", "keyguard"];
    release.kubectl().run(off).expect_ok();
    wait_for("the webhooks to be out of effect", || {
        asked(&plane, &namespace).err().ok_or("refused".to_owned())
    });
    release.upgrade(&[]);
    wait_for("the webhooks to be in effect again", || {
        asked(&plane, &namespace)
    });
}
