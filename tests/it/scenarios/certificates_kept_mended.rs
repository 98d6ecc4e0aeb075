//! What somebody deletes, damages or overwrites mends itself.

use std::time::{Duration, Instant};

use super::guard::Scene;
use super::load::{Ask, Tally, directly_by_the_bundle, through_the_api_server, under_load};
use crate::control_plane::ControlPlane;
use crate::control_plane::fleet::{Fleet, Replica, Right};
use crate::control_plane::wait::wait_for;

const CONFIG: &str = "certificates: {overlap: 1s, checkInterval: 100ms}";

fn await_that(what: &str, holds: impl Fn() -> bool) -> Duration {
    let started = Instant::now();
    wait_for(what, || holds().then_some(()).ok_or("not yet".to_owned()));
    started.elapsed()
}

/// Lets `work` be done while replicas are asked.
fn while_asked<T>(fleet: &Fleet<'_>, replicas: &[Replica], work: impl FnOnce() -> T) -> (T, Tally) {
    let scene = Scene {
        plane: ControlPlane::shared(),
        namespace: fleet.guarded.clone(),
    };
    let asks: [Ask<'_>; 2] = [&|| through_the_api_server(&scene), &|| {
        directly_by_the_bundle(fleet, replicas)
    }];
    under_load(&asks, work)
}

/// The Secret holds another CA than `before`, and the bundles that one alone.
fn await_another_ca(fleet: &Fleet<'_>, before: &str) -> Duration {
    await_that("another CA, alone in the bundle", || {
        let authority = fleet.secret("ca.crt");
        !authority.is_empty()
            && authority != before
            && fleet.bundles().iter().all(|bundle| *bundle == authority)
    })
}

#[test]
fn a_deleted_secret_and_a_damaged_one_mend_themselves_and_no_admission_fails() {
    let fleet = Fleet::new(ControlPlane::shared(), CONFIG, &Right::ALL);
    let replicas = fleet.start_ready(3);
    let ((), tally) = while_asked(&fleet, &replicas, || {
        let before = fleet.secret("ca.crt");
        fleet.delete_secret();
        let back = await_that("a Secret", || !fleet.secret("ca.crt").is_empty());
        assert_eq!(
            fleet.secret("ca.crt"),
            before,
            "what is presented is kept first"
        );
        let rotated = await_another_ca(&fleet, &before);
        println!(
            "Secret deleted: there again after {back:.1?}, another CA alone after {rotated:.1?}"
        );

        let before = fleet.secret("ca.crt");
        fleet.damage_secret("ca.key", "words");
        let rotated = await_another_ca(&fleet, &before);
        println!("CA's key damaged: another CA alone after {rotated:.1?}");

        let (authority, leaf) = (fleet.secret("ca.crt"), fleet.secret("tls.crt"));
        fleet.damage_secret("tls.crt", "words");
        let renewed = await_that("another serving certificate", || {
            let found = fleet.secret("tls.crt");
            found.contains("BEGIN CERTIFICATE") && found != leaf
        });
        assert_eq!(fleet.secret("ca.crt"), authority, "the CA stays");
        println!("serving certificate damaged: renewed after {renewed:.1?}");
    });
    println!("{} admissions, {} failed", tally.right, tally.wrong.len());
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 20, "{}", tally.right);
}

#[test]
fn an_overwritten_ca_bundle_mends_itself() {
    let fleet = Fleet::new(ControlPlane::shared(), CONFIG, &Right::ALL);
    let replicas = fleet.start_ready(2);
    let authority = fleet.secret("ca.crt");
    let foreign = rcgen::KeyPair::generate().unwrap();
    let foreign = rcgen::CertificateParams::default().self_signed(&foreign);
    let foreign = foreign.unwrap().pem();
    // Somebody else's CA stays only as long as a replica that has just started may present what it signed.
    await_that("the time for foreign CAs to be over", || {
        fleet.overwrite_bundle(0, Some(&format!("{authority}{foreign}")));
        await_that("one CA in the bundle", || fleet.bundles()[0] == authority)
            < Duration::from_millis(900)
    });
    for (what, bundle) in [("another CA", Some(&*foreign)), ("nothing", None)] {
        for webhook in 0..2 {
            fleet.overwrite_bundle(webhook, bundle);
            let mended = await_that("the bundle to be mended", || {
                fleet.bundles() == [authority.clone(), authority.clone()]
            });
            println!(
                "caBundle of webhook {webhook} overwritten with {what}: mended after {mended:.1?}"
            );
            assert_eq!(directly_by_the_bundle(&fleet, &replicas), Ok(()));
        }
    }
    assert_eq!(fleet.secret("ca.crt"), authority, "the CA stays");
}

#[test]
fn it_is_not_ready_until_the_bundle_in_force_verifies_what_it_presents() {
    let rights: Vec<_> = Right::ALL
        .into_iter()
        .filter(|right| *right != Right::PatchRegistration)
        .collect();
    let fleet = Fleet::new(ControlPlane::shared(), CONFIG, &rights);
    let mut replica = fleet.start();
    let says = |what: &'static str| {
        let told = replica.await_readiness(what, |answer| answer.body.contains(what));
        assert_eq!(told.status, 503, "{}", told.body);
    };
    says("the caBundle of \"argocd-cm.keyguard.dev\" holds no CA certificate that is valid now");
    let authority = fleet.secret("ca.crt");
    fleet.overwrite_bundle(0, Some(&authority));
    says("the caBundle of \"workloads.keyguard.dev\" holds no CA certificate that is valid now");
    fleet.overwrite_bundle(1, Some(&authority));
    replica.await_ready();
    let foreign = rcgen::KeyPair::generate().unwrap();
    let foreign = rcgen::CertificateParams::default().self_signed(&foreign);
    fleet.overwrite_bundle(0, Some(&foreign.unwrap().pem()));
    let says = |what: &'static str| {
        replica.await_readiness(what, |answer| {
            answer.status == 503 && answer.body.contains(what)
        });
    };
    says("another CA signed that");
    fleet.unregister();
    says("does not exist; apply what keyguard webhook-config prints");
}
