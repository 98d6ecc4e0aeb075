use super::*;
use keyguard_core::policy::namespace_label::NamespaceLabel;

#[test]
fn a_url_gets_its_path_and_nothing_else_is_taken_for_one() {
    let table = [
        (
            "https://127.0.0.1:8443",
            Some("https://127.0.0.1:8443/validate"),
        ),
        (
            "https://keyguard.example/",
            Some("https://keyguard.example/validate"),
        ),
        (
            "https://keyguard.example/other",
            Some("https://keyguard.example/other"),
        ),
        ("http://127.0.0.1", None),
        ("https://a?b", None),
        ("https://user@host", None),
        ("127.0.0.1:8443", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(checked_url(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_service_is_namespace_name_and_perhaps_a_port() {
    let read = |text| {
        service_reference(text).map(|service| (service.namespace, service.name, service.port))
    };
    assert_eq!(
        read("keyguard/webhook"),
        Some(("keyguard".into(), "webhook".into(), None))
    );
    assert_eq!(read("a/b:8443"), Some(("a".into(), "b".into(), Some(8443))));
    for bad in ["keyguard", "a/b:0", "a/b:x", "a/b/c", "/b", "a/", "A/b"] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn the_webhooks_are_narrow_and_fail_closed() {
    let service = service_reference("keyguard/keyguard");
    let registered = Registered {
        client_config: WebhookClientConfig {
            service,
            ..WebhookClientConfig::default()
        },
        failure_policy: "Fail",
        namespaces: Namespaces {
            guarded: Vec::new(),
            own: "keyguard".to_owned(),
            exempt: vec!["sandbox".to_owned()],
            exempt_labels: NamespaceLabel::parse("team=x").into_iter().collect(),
        },
        guard: Guard {
            secrets: true,
            accounts_in_use: true,
            argocd_secret: true,
            runtime_namespaces: vec!["gitops".to_owned()],
        },
    };
    let webhooks = registered.webhooks();
    let told: Vec<_> = webhooks
        .iter()
        .map(|webhook| {
            let service = webhook.client_config.service.as_ref().unwrap();
            (
                webhook.name.as_str(),
                webhook.failure_policy.as_deref().unwrap(),
                webhook.timeout_seconds.unwrap(),
                service.path.as_deref().unwrap(),
            )
        })
        .collect();
    let recorded = ("Ignore", 1, "/validate/exempt");
    let recorded = |name| (name, recorded.0, recorded.1, recorded.2);
    assert_eq!(
        told,
        [
            ("argocd-cm.keyguard.dev", "Fail", 5, "/validate"),
            ("workloads.keyguard.dev", "Fail", 5, "/validate"),
            ("rollouts.keyguard.dev", "Fail", 5, "/validate"),
            ("secrets.keyguard.dev", "Fail", 5, "/validate"),
            ("argocd-secret.keyguard.dev", "Fail", 5, "/validate"),
            recorded("exempt-argocd-cm.keyguard.dev"),
            recorded("exempt-workloads.keyguard.dev"),
            recorded("exempt-rollouts.keyguard.dev"),
            recorded("exempt-label-0-argocd-cm.keyguard.dev"),
            recorded("exempt-label-0-workloads.keyguard.dev"),
            recorded("exempt-label-0-rollouts.keyguard.dev"),
        ]
    );
    let selector = webhooks[3].namespace_selector.as_ref().unwrap();
    let last = selector.match_expressions.as_ref().unwrap().last().unwrap();
    assert_eq!(last.operator, "In");
    assert_eq!(last.values.as_deref().unwrap(), ["gitops"]);
    for webhook in &webhooks {
        assert_eq!(webhook.match_policy.as_deref(), Some("Equivalent"));
        assert_eq!(webhook.side_effects, "None");
        assert!(!webhook.match_conditions.as_ref().unwrap().is_empty());
        assert!(webhook.namespace_selector.is_some());
        let rules = webhook.rules.as_ref().unwrap();
        assert!(rules.iter().all(|rule| {
            let resources = rule.resources.as_ref().unwrap();
            resources
                .iter()
                .all(|resource| !resource.contains(['*', '/']))
        }));
    }
}
