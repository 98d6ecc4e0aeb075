//! The chart's values, their schema, and what is made of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use keyguard::cli::{Cli, Command as Subcommand};
use keyguard::commands::webhook_config;
use keyguard::config::Config;
use serde_json::{Value, json};

use super::rendered::{chart, helm, object, render, template};
use crate::control_plane::binaries::Binaries;
use crate::control_plane::workspace::Workspace;

/// Values that reach every branch of the templates.
const VARIANTS: [&str; 7] = [
    "{}",
    "namespaces: [argocd, runtime]",
    "{scan: {enabled: true, replicas: 2}, serviceMonitor: {enabled: true}, config: {exemptNamespaceLabels: [team=a]}}",
    "{scan: {enabled: true, policyReports: none}, namespaces: [runtime], config: {verify: {argocdNamespace: argocd}}, networkPolicy: {enabled: false}}",
    "{certificates: {mode: files}, serviceMonitor: {enabled: true}, priorityClassName: '', dashboard: {enabled: true}, prometheusRule: {enabled: true}}",
    "{certificates: {mode: cert-manager}, networkPolicy: {metricsFrom: [{podSelector: {}}]}, podDisruptionBudget: {enabled: false}}",
    "
fullnameOverride: guard
clients: {caConfigMap: api-server, names: [kube-apiserver]}
image: {repository: registry.example/keyguard, tag: v1, pullPolicy: Always}
imagePullSecrets: [{name: pull}]
certificates: {mode: cert-manager, certManager: {issuerRef: {kind: ClusterIssuer, name: corporate}}}
webhook: {failurePolicy: Ignore, annotations: {owner: platform}}
serviceAccount: {annotations: {owner: platform}}
podAnnotations: {owner: platform}
podLabels: {owner: platform}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, job: keyguard, runbookUrl: https://example.com/operations, leftOut: [KeyguardFindings], labels: {release: prometheus}, annotations: {owner: platform}}
dashboard: {enabled: true, labels: {grafana_dashboard: keyguard}, annotations: {grafana_folder: Argo CD}}
networkPolicy: {enabled: false}
",
];

#[test]
fn helm_finds_nothing_to_say() {
    for values in VARIANTS {
        let linted = helm(["lint", "--strict"], values).expect_ok();
        let told = linted.stdout + &linted.stderr;
        assert!(
            told.contains("1 chart(s) linted, 0 chart(s) failed"),
            "{told}"
        );
        for complaint in ["[WARNING]", "[ERROR]"] {
            assert!(!told.contains(complaint), "{values}: {told}");
        }
    }
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_place() {
    let table = [
        (
            "{surprise: 1}",
            "additional properties 'surprise' not allowed",
        ),
        (
            "{image: {pullpolicy: Always}}",
            "at '/image': additional properties 'pullpolicy'",
        ),
        ("{image: {digest: latest}}", "at '/image/digest'"),
        ("{replicas: 0}", "at '/replicas'"),
        ("{replicas: two}", "at '/replicas'"),
        (
            "{config: {surprise: 1}}",
            "at '/config': additional properties 'surprise'",
        ),
        (
            "{config: {protectedAccounts: []}}",
            "at '/config/protectedAccounts'",
        ),
        ("{config: {onError: maybe}}", "at '/config/onError'"),
        (
            "{config: {rules: {accounts/none: warn}}}",
            "invalid propertyName 'accounts/none'",
        ),
        (
            "{config: {rules: {accounts/unreadable: loud}}}",
            "at '/config/rules/accounts~1unreadable'",
        ),
        (
            "{config: {exemptNamespaceLabels: [team]}}",
            "at '/config/exemptNamespaceLabels/0'",
        ),
        (
            "{config: {exemptNamespaces: [A_b]}}",
            "at '/config/exemptNamespaces/0'",
        ),
        (
            "{config: {limits: {maxConnections: 0}}}",
            "at '/config/limits/maxConnections'",
        ),
        (
            "{config: {timeouts: {body: 5}}}",
            "at '/config/timeouts/body'",
        ),
        (
            "{config: {timeouts: {body: soon}}}",
            "at '/config/timeouts/body'",
        ),
        ("{namespaces: argocd}", "at '/namespaces'"),
        ("{namespaces: [A]}", "at '/namespaces/0'"),
        (
            "{webhook: {failurePolicy: ignore}}",
            "at '/webhook/failurePolicy'",
        ),
        ("{certificates: {mode: helm}}", "at '/certificates/mode'"),
        (
            "{certificates: {files: {caBundle: abc}}}",
            "at '/certificates/files/caBundle'",
        ),
        (
            "{certificates: {files: {caBundle: \"-----BEGIN CERTIFICATE-----\\n-----BEGIN PRIVATE KEY-----\"}}}",
            "at '/certificates/files/caBundle'",
        ),
        ("{service: {port: 0}}", "at '/service/port'"),
        (
            "{podDisruptionBudget: {maxUnavailable: 0}}",
            "at '/podDisruptionBudget/maxUnavailable'",
        ),
        (
            "{networkPolicy: {apiServerPorts: []}}",
            "at '/networkPolicy/apiServerPorts'",
        ),
        (
            "{prometheusRule: {leftOut: [Watchdog]}}",
            "at '/prometheusRule/leftOut/0'",
        ),
        (
            "{prometheusRule: {runbookUrl: ''}}",
            "at '/prometheusRule/runbookUrl'",
        ),
        ("{dashboard: {labels: [a]}}", "at '/dashboard/labels'"),
        ("{logFormat: xml}", "at '/logFormat'"),
        ("{scan: {every: often}}", "at '/scan/every'"),
        ("{scan: {reads: 100}}", "at '/scan/reads'"),
        ("{fullnameOverride: A.b}", "at '/fullnameOverride'"),
    ];
    for (values, place) in table {
        let told = template(values).expect_error();
        assert!(told.contains(place), "{values}: {told}");
    }
}

#[test]
fn the_schema_knows_every_value() {
    let schema = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let objects = [("", &values(), &schema)];
    objects
        .iter()
        .for_each(|(path, values, schema)| same_keys(path, values, schema));
}

/// Each map of the values has the keys that the schema allows, and it allows no other.
fn same_keys(path: &str, values: &Value, schema: &Value) {
    let (Some(values), Some(properties)) = (values.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    // Helm itself adds "global". What is left to Kubernetes has no keys of its own here.
    let left_out = [
        "/global",
        "/resources/claims",
        "/scan/resources/claims",
        "/audit/resources/claims",
    ];
    for (key, property) in properties {
        let path = format!("{path}/{key}");
        match values.get(key) {
            Some(value) => same_keys(&path, value, property),
            None => assert!(
                left_out.contains(&path.as_str()) || path.contains("/issuerRef/"),
                "values.yaml lacks {path}"
            ),
        }
    }
    for key in values.keys() {
        assert!(
            properties.contains_key(key),
            "the schema lacks {path}/{key}"
        );
    }
}

#[test]
fn every_value_has_a_comment_and_its_config_is_the_default() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut commented = false;
    for line in text.lines() {
        let is_top = line.starts_with(|first: char| first.is_ascii_alphabetic());
        let has_fields = is_top && line.ends_with(':');
        // A map is told by its first field at the latest.
        let told = commented
            || has_fields
            || [
                "podAnnotations",
                "podLabels",
                "nodeSelector",
                "tolerations",
                "affinity",
            ]
            .iter()
            .any(|name| line.starts_with(name));
        assert!(!is_top || told || line.contains('#'), "no comment: {line}");
        commented = line.trim_start().starts_with('#');
    }
    let config = values()["config"].to_string();
    assert_eq!(
        Config::parse("values.yaml", &config).unwrap(),
        Config::default()
    );
}

#[test]
fn the_webhooks_are_what_keyguard_prints_for_the_same_decisions() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::default()
        .self_signed(&authority)
        .unwrap()
        .pem();
    let workspace = Workspace::new();
    let bundle = workspace.write("ca.crt", &authority);
    let bundle = format!("--ca-bundle={}", bundle.display());
    let exempt = "{exemptNamespaces: [sandbox, argocd-test, sandbox], exemptNamespaceLabels: [team=b, example.com/tier=test, team=a, team=b]}";
    let config = workspace.write("config.yaml", exempt);
    let config = format!("--config={}", config.display());
    let files =
        json!({"certificates": {"mode": "files", "files": {"caBundle": authority}}}).to_string();
    let exempting = format!("{{config: {exempt}}}");
    let guard = "{guard: {secrets: true}}";
    let guard_file = workspace.write("guard.yaml", guard);
    let guard_file = format!("--config={}", guard_file.display());
    let runtimes =
        "{exemptNamespaces: [sandbox], guard: {secrets: true, runtimeNamespaces: [b, a, b]}}";
    let runtimes_file = workspace.write("runtimes.yaml", runtimes);
    let runtimes_file = format!("--config={}", runtimes_file.display());
    let guarding = format!("{{config: {guard}}}");
    let runtimes = format!("{{namespaces: [a, b, argocd], config: {runtimes}}}");
    let table: [(&str, &[&str]); 10] = [
        ("{}", &[]),
        (&guarding, &[&guard_file]),
        (&runtimes, &["--namespace=a,b,argocd", &runtimes_file]),
        (
            "{webhook: {failurePolicy: Ignore}}",
            &["--failure-policy=ignore"],
        ),
        (
            "{namespaces: [runtime, argocd, runtime]}",
            &["--namespace=runtime,argocd"],
        ),
        (&exempting, &[&config]),
        (
            "{service: {port: 8443}}",
            &["--service=keyguard/keyguard:8443"],
        ),
        (&files, &[&bundle]),
        ("{certificates: {mode: cert-manager}}", &[]),
        (
            "{namespaces: [a], webhook: {failurePolicy: Ignore}, config: {exemptNamespaces: [sandbox, argocd-test], exemptNamespaceLabels: [team=a, team=b, example.com/tier=test]}}",
            &["--namespace=a", "--failure-policy=ignore", &config],
        ),
    ];
    for (values, flags) in table {
        let mut line = vec!["keyguard", "webhook-config"];
        if !flags.iter().any(|flag| flag.starts_with("--service")) {
            line.push("--service=keyguard/keyguard");
        }
        line.extend(flags);
        let Subcommand::WebhookConfig(arguments) = Cli::parse_from(line).command else {
            panic!("another command");
        };
        let printed = webhook_config::render(&arguments).unwrap();
        let printed: Value = serde_saphyr::from_str(&printed).unwrap();
        let objects = render(values);
        let rendered = object(&objects, "ValidatingWebhookConfiguration", "keyguard");
        assert_eq!(rendered["apiVersion"], printed["apiVersion"]);
        assert_eq!(
            rendered["webhooks"], printed["webhooks"],
            "{values}: run deploy/render when the program prints something else"
        );
    }
}

#[test]
fn the_manifests_are_what_the_chart_renders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Workspace::new();
    let status = Command::new(root.join("deploy/render"))
        .arg(folder.path(""))
        .env("HELM", &Binaries::shared().helm)
        .status()
        .expect("run deploy/render");
    assert!(status.success());
    let files = |folder: &Path| -> BTreeSet<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        entries
            .filter(|entry| name(entry).ends_with(".yaml") && name(entry) != "namespace.yaml")
            .map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    };
    let (rendered, kept) = (
        files(&folder.path("")),
        files(&root.join("deploy/manifests")),
    );
    assert!(rendered.len() > 5, "{}", rendered.len());
    assert_eq!(rendered, kept, "run deploy/render");
}

#[test]
fn who_only_renders_never_sees_what_takes_the_real_objects_away() {
    let rendered = template("{}").expect_ok().stdout;
    assert!(!rendered.contains("delete-policy: before-hook-creation,hook-succeeded\nwebhooks: []"));
    for object in render("{}") {
        let hook = object["metadata"]["annotations"]["helm.sh/hook"].as_str();
        assert!(matches!(hook, None | Some("test")), "{object}");
    }
}

#[test]
fn cert_manager_is_asked_for_the_name_that_the_api_server_calls() {
    let objects = render("{certificates: {mode: cert-manager}}");
    let certificate = object(&objects, "Certificate", "keyguard-tls");
    assert_eq!(
        certificate["spec"]["dnsNames"],
        json!(["keyguard.keyguard.svc"])
    );
    let issuer = certificate["spec"]["issuerRef"]["name"].as_str().unwrap();
    let authority = object(&objects, "Issuer", issuer)["spec"]["ca"]["secretName"].clone();
    let authority = object(&objects, "Certificate", authority.as_str().unwrap());
    assert_eq!(authority["spec"]["isCA"], true);
    let first = authority["spec"]["issuerRef"]["name"].as_str().unwrap();
    assert_eq!(
        object(&objects, "Issuer", first)["spec"],
        json!({"selfSigned": {}})
    );
    let webhook = object(&objects, "ValidatingWebhookConfiguration", "keyguard");
    let annotation = &webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
    assert_eq!(annotation, "keyguard/keyguard-tls");
    let pod = &object(&objects, "Deployment", "keyguard")["spec"]["template"]["spec"];
    let mounted = &pod["volumes"][0]["secret"]["secretName"];
    assert_eq!(*mounted, certificate["spec"]["secretName"]);

    let own = "{certificates: {mode: cert-manager, certManager: {issuerRef: {kind: ClusterIssuer, name: corporate}}}}";
    let objects = render(own);
    let certificate = object(&objects, "Certificate", "keyguard-tls");
    let reference = json!({"kind": "ClusterIssuer", "name": "corporate"});
    assert_eq!(certificate["spec"]["issuerRef"], reference);
    assert!(objects.iter().all(|object| object["kind"] != "Issuer"));
}

#[test]
fn clients_are_asked_for_certificates_only_when_there_is_a_ca_for_them() {
    let arguments = |values: &str| {
        let objects = render(values);
        let deployment = object(&objects, "Deployment", "keyguard");
        deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string()
    };
    assert!(!arguments("{clients: {names: [kube-apiserver]}}").contains("--client-"));
    let asking = arguments("{clients: {caConfigMap: api-server, names: [kube-apiserver]}}");
    for flag in [
        "--client-ca=/etc/keyguard/clients/ca.crt",
        "--client-name=kube-apiserver",
    ] {
        assert!(asking.contains(flag), "{asking}");
    }
}

fn values() -> Value {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}
