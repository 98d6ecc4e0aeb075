//! Only clients with the right certificate are answered.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::objects::{argocd_cm, deployment, token_from};
use super::reviews::creation;
use super::said::refused_by;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::{Authority, ServerCertificate};
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::mounted::Mounted;
use crate::control_plane::plain_http::Answer;
use crate::control_plane::tls_http::{post_review, post_review_as};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

const NAME: &str = "kube-apiserver-keyguard-client";
const CA: &str = "ca.crt";

/// An authority for clients, with the folder that its files are in.
struct Clients {
    authority: Authority,
    workspace: Workspace,
}

impl Clients {
    fn new() -> Self {
        let workspace = Workspace::new();
        Self {
            authority: Authority::new(&workspace),
            workspace,
        }
    }

    fn named(&self, name: &str) -> ServerCertificate {
        self.authority.issue_for_client(name, &self.workspace)
    }

    fn pem(&self) -> Vec<u8> {
        fs::read(&self.authority.certificate).expect("it was just written")
    }
}

fn verifying(plane: &ControlPlane, file: &Path) -> Keyguard {
    let client_ca = format!("--client-ca={}", file.display());
    Keyguard::start(
        plane,
        &Options {
            arguments: vec![client_ca, format!("--client-name=someone,{NAME}")],
            ..Options::default()
        },
    )
}

fn refused(keyguard: &Keyguard, reason: &str) -> f64 {
    keyguard.metric("keyguard_clients_refused_total", &[("reason", reason)])
}

#[test]
fn only_a_client_of_the_ca_with_a_name_is_answered_and_another_ca_counts_without_a_restart() {
    let (ours, others) = (Clients::new(), Clients::new());
    let mounted = Mounted::new(ours.workspace.path("client-ca"));
    mounted.put(&[(CA, &ours.pem())]);
    let keyguard = verifying(ControlPlane::shared(), &mounted.path(CA));
    let bundle = fs::read(keyguard.authority()).expect("its CA certificate");
    let review = creation(
        "default",
        &deployment("runtime", vec![token_from("none", "key")]),
    );
    let review = review.to_string();
    let (address, post) = (keyguard.address, |client: &ServerCertificate| {
        post_review_as(client, keyguard.address, &bundle, &review)
    });
    let told = |answer: std::io::Result<Answer>| match answer {
        Ok(answer) => answer.status.to_string(),
        Err(error) => error.to_string(),
    };

    assert_eq!(told(post(&ours.named(NAME))), "200");
    let nobody = told(post_review(address, &bundle, &review));
    assert!(nobody.contains("CertificateRequired"), "{nobody}");
    let stranger = told(post(&others.named(NAME)));
    assert!(stranger.contains("fatal alert"), "{stranger}");
    let misnamed = told(post(&ours.named("kubelet")));
    assert!(misnamed.contains("AccessDenied"), "{misnamed}");
    for reason in ["no-certificate", "not-trusted", "other-name"] {
        assert_eq!(refused(&keyguard, reason), 1.0, "{reason}");
    }
    assert_eq!(
        keyguard.metric("keyguard_tls_handshakes_failed_total", &[]),
        3.0
    );
    let line = keyguard.log_line("the misnamed client", |line| {
        line["certificate"] == "kubelet"
    });
    assert_eq!(line["level"], "WARN");

    mounted.put(&[(CA, b"nothing")]);
    let what = "other CA certificates for clients are refused; those before stay";
    keyguard.log_line(what, |line| line["message"] == what);
    assert_eq!(told(post(&ours.named(NAME))), "200");
    mounted.put(&[(CA, &others.pem())]);
    wait_for("the other CA", || {
        let answer = told(post(&others.named(NAME)));
        (answer == "200").then_some(()).ok_or(answer)
    });
    assert_ne!(told(post(&ours.named(NAME))), "200");
    assert_eq!(refused(&keyguard, "other-name"), 1.0);
    assert_eq!(keyguard.ask("/readyz").status, 200);
}

/// What `docs/operations.md` tells to give kube-apiserver.
fn admission_configuration(clients: &Clients, server: &str) -> Vec<String> {
    let certificate = clients.named(NAME);
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{
            "name": server,
            "user": {"client-certificate": certificate.certificate, "client-key": certificate.key},
        }],
    });
    let kubeconfig = clients
        .workspace
        .write("webhook-kubeconfig.yaml", kubeconfig.to_string());
    let admission: Value = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{
            "name": "ValidatingAdmissionWebhook",
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": kubeconfig,
            },
        }],
    });
    let admission = clients
        .workspace
        .write("admission.yaml", admission.to_string());
    vec![format!(
        "--admission-control-config-file={}",
        admission.display()
    )]
}

#[test]
fn the_real_api_server_is_answered_with_its_certificate_and_not_without() {
    let plane = ControlPlane::private();
    let clients = Clients::new();
    let keyguard = verifying(&plane, &clients.authority.certificate);
    let server = format!("keyguard.keyguard.svc:{}", keyguard.address.port());
    plane.restart_api_server(&admission_configuration(&clients, &server));
    let namespace = plane.fresh_namespace("client-certificate");
    // It returns once keyguard has decided on something.
    let _installed = keyguard.install_as_service(&plane, &[&namespace]);
    let good = argocd_cm(&json!({"accounts.admin": "apiKey"}));
    let alice = || plane.kubectl().as_user(ALICE).namespace(&namespace);
    let create = alice().stdin(good.to_string());
    create.run(["create", "-f", "-"]).expect_ok();
    let loss = [
        "patch",
        "configmap/argocd-cm",
        "--type=merge",
        r#"--patch={"data":{"accounts.admin":"login"}}"#,
    ];
    refused_by(alice().run(loss), &["accounts/api-key-removed"]);
    assert_eq!(refused(&keyguard, "no-certificate"), 0.0);

    plane.restart_api_server(&[]);
    // An API server that is still writing when it is refused may see the end of the connection first.
    wait_for("the API server to see why", || {
        let error = alice().run(loss).expect_error();
        assert!(
            error.contains("failed calling webhook \"argocd-cm.keyguard.dev\""),
            "{error}"
        );
        let told = error.contains("certificate required");
        told.then_some(()).ok_or(error)
    });
    assert!(refused(&keyguard, "no-certificate") >= 1.0);
}
