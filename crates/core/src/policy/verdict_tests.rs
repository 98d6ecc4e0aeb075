use super::*;

fn finding(rule: Rule, severity: Severity) -> Finding {
    Finding {
        rule,
        severity,
        fields: vec!["spec".to_owned()],
        what: "something is wrong".to_owned(),
        mend: "Mend it.".to_owned(),
    }
}

#[test]
fn the_mode_of_a_rule_turns_severity_into_effect() {
    let table = [
        (
            Mode::Enforce,
            Severity::Refusal,
            Effect::Deny,
            Decision::Deny,
        ),
        (
            Mode::Enforce,
            Severity::Warning,
            Effect::Warn,
            Decision::Warn,
        ),
        (Mode::Warn, Severity::Refusal, Effect::Warn, Decision::Warn),
        (Mode::Warn, Severity::Warning, Effect::Warn, Decision::Warn),
        (
            Mode::Audit,
            Severity::Refusal,
            Effect::Record,
            Decision::Audit,
        ),
        (
            Mode::Audit,
            Severity::Warning,
            Effect::Record,
            Decision::Audit,
        ),
    ];
    for (mode, severity, effect, decision) in table {
        let mut modes = Modes::default();
        modes.set(Rule::SecretMissing, mode);
        let verdict = Verdict::of(vec![finding(Rule::SecretMissing, severity)], &modes);
        assert_eq!(verdict.decision, decision, "{mode:?} {severity:?}");
        assert_eq!(verdict.findings(effect).count(), 1, "{mode:?} {severity:?}");
        assert_eq!(verdict.allowed(), decision != Decision::Deny);
    }
}

#[test]
fn the_strongest_effect_decides_and_nothing_found_is_lost() {
    let mut modes = Modes::default();
    modes.set(Rule::ValueMalformed, Mode::Audit);
    let verdict = Verdict::of(
        vec![
            finding(Rule::ValueMalformed, Severity::Refusal),
            finding(Rule::SecretNotYetMade, Severity::Warning),
            finding(Rule::SecretMissing, Severity::Refusal),
            finding(Rule::SecretMissing, Severity::Refusal),
        ],
        &modes,
    );
    assert_eq!(verdict.decision, Decision::Deny);
    assert_eq!(
        verdict.rules(),
        [
            Rule::SecretMissing,
            Rule::ValueMalformed,
            Rule::SecretNotYetMade
        ]
    );
    assert_eq!(verdict.judged.len(), 4);
}

#[test]
fn whatever_stands_in_a_finding_is_cut_to_what_can_be_shown() {
    let mut long = finding(Rule::ValueMalformed, Severity::Refusal);
    for text in [&mut long.what, &mut long.mend, &mut long.fields[0]] {
        *text = "ä".repeat(500_000);
    }
    let verdict = Verdict::of(vec![long], &Modes::default());
    let finding = &verdict.judged[0].finding;
    assert!(finding.message().len() < 2 * SENTENCE_BYTES + 200);
    assert!(finding.fields[0].len() <= FIELD_BYTES && finding.fields[0].ends_with('…'));
}

#[test]
fn a_broken_glass_lifts_refusals_under_the_rules_it_names_and_nothing_else() {
    let refused = || {
        let findings = vec![
            finding(Rule::SecretMissing, Severity::Refusal),
            finding(Rule::SecretMissing, Severity::Warning),
            finding(Rule::ValueMalformed, Severity::Refusal),
        ];
        Verdict::of(findings, &Modes::default())
    };
    let one = BreakGlass::read("credentials/secret-missing: later", true);
    let verdict = refused().under(&one);
    assert_eq!(verdict.decision, Decision::Deny);
    assert_eq!(verdict.reason, "credentials/secret-missing: later");
    let effects: Vec<Effect> = verdict.judged.iter().map(|judged| judged.effect).collect();
    assert_eq!(effects, [Effect::Lifted, Effect::Warn, Effect::Deny]);
    let both = "credentials/secret-missing: later; credentials/value-malformed: so";
    let verdict = refused().under(&BreakGlass::read(both, true));
    assert_eq!(
        (verdict.decision, verdict.reason.as_str()),
        (Decision::BreakGlass, both)
    );
}

#[test]
fn a_message_says_what_why_how_and_which_rule() {
    assert_eq!(
        finding(Rule::ValueMalformed, Severity::Refusal).message(),
        "something is wrong: what the Secret holds becomes the credential as it is, and Argo CD or the HTTP client refuses it. Mend it. [credentials/value-malformed]"
    );
}
