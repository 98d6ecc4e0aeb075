//! Certificates that somebody else keeps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::install::{argocd, asked};
use super::release::Release;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::Authority;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

/// Makes the Secret `keyguard-tls`, and returns the CA's certificate, PEM.
fn issue(release: &Release<'_>) -> String {
    let workspace = Workspace::new();
    let authority = Authority::new(&workspace);
    let issued = authority.issue(&["keyguard.keyguard.svc"], &workspace);
    let create = [
        "create".to_owned(),
        "secret".to_owned(),
        "tls".to_owned(),
        "keyguard-tls".to_owned(),
        format!("--cert={}", issued.certificate.display()),
        format!("--key={}", issued.key.display()),
    ];
    release.kubectl().run(create).expect_ok();
    std::fs::read_to_string(&authority.certificate).expect("read a certificate")
}

#[test]
fn with_files_the_chart_mounts_the_secret_and_names_its_ca() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("argocd");
    argocd(&plane, &namespace);
    let mut release = Release::install(&plane, &["certificates.mode=files"]);
    assert_eq!(release.bundles(), [""; 0]);
    let authority = issue(&release);
    let pod = release.start_pod();
    pod.await_unready("holds no CA certificate that is valid now");
    release.upgrade(&[
        "certificates.mode=files",
        &format!(
            "certificates.files.caBundle={}",
            authority.replace(',', "\\,")
        ),
    ]);
    assert_eq!(
        release.bundles(),
        [(); 3].map(|()| STANDARD.encode(&authority))
    );
    release.start_pods();
    wait_for("the webhooks to be in effect", || asked(&plane, &namespace));
}

/// cert-manager itself is not here: the test issues and injects in its place.
#[test]
fn with_cert_manager_an_upgrade_leaves_what_it_injected() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("argocd");
    argocd(&plane, &namespace);
    for (kind, plural) in [("Issuer", "issuers"), ("Certificate", "certificates")] {
        define(&plane, kind, plural);
    }
    let mode = "certificates.mode=cert-manager";
    let mut release = Release::install(&plane, &[mode]);
    let certificate = release.get("certificate", "keyguard-tls");
    assert_eq!(certificate["spec"]["secretName"], "keyguard-tls");
    let authority = issue(&release);
    let inject = [0, 1, 2].map(|webhook| {
        json!({
            "op": "add",
            "path": format!("/webhooks/{webhook}/clientConfig/caBundle"),
            "value": STANDARD.encode(&authority),
        })
    });
    let inject = format!("--patch={}", json!(inject));
    let registration = "validatingwebhookconfiguration/keyguard";
    let patch = ["patch", registration, "--type=json", &*inject];
    release.kubectl().run(patch).expect_ok();
    release.start_pods();
    wait_for("the webhooks to be in effect", || asked(&plane, &namespace));
    release.upgrade(&[mode, "config.exemptNamespaces={sandbox}"]);
    assert_eq!(
        release.bundles(),
        [(); 3].map(|()| STANDARD.encode(&authority))
    );
    assert_eq!(asked(&plane, &namespace), Ok(()));
}

/// A kind of cert-manager's that takes everything.
fn define(plane: &ControlPlane, kind: &str, plural: &str) {
    let schema: Value = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.cert-manager.io")},
        "spec": {
            "group": "cert-manager.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let create = plane.kubectl().stdin(definition.to_string());
    create.run(["create", "-f", "-"]).expect_ok();
    let definition = format!("crd/{plural}.cert-manager.io");
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        &*definition,
    ];
    plane.kubectl().run(established).expect_ok();
}
