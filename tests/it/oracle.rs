//! Argo CD's own code is asked about states made at random, and keyguard must say the same of each.
//!
//! `KEYGUARD_ORACLE_SEED` repeats a run, `KEYGUARD_ORACLE_STATES` says how many states, `KEYGUARD_ORACLE_VERSIONS`
//! which versions of Argo CD (`all`, or such as `3.2,2.14`). The differences that are meant are in docs/argo-cd.md.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says what it found"
)]

mod generate;
mod state;
mod token;
mod version;

use std::collections::BTreeMap;
use std::env;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use generate::question;
use state::Question;
use version::{Answer, Version};

/// How many states are asked about in a run of all tests.
const STATES: u64 = 2_000;

#[test]
fn argo_cds_own_code_says_the_same_of_any_state() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_secs();
    let seed = number("KEYGUARD_ORACLE_SEED").unwrap_or(now);
    let states = number("KEYGUARD_ORACLE_STATES").unwrap_or(STATES);
    for version in Version::wanted() {
        agrees(version, seed, states, now);
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
    )
}

fn agrees(version: Version, seed: u64, states: u64, now: u64) {
    let began = Instant::now();
    let mut runner = runner(seed);
    let strategy = question(now as i64);
    let trees = (0..states).map(|_| strategy.new_tree(&mut runner).expect("a state"));
    let mut trees: Vec<_> = trees.collect();
    let questions = trees.iter().map(ValueTree::current).collect();
    let different = |verdict: &Verdict| {
        let differences = verdict.differences(version);
        differences.contains(&Difference::Unexplained)
    };
    let mut verdicts = ask(version, questions, now as f64);
    // Argo CD's informers miss what the fake clientset changes between their list and their watch: now and then, one
    // of many that are asked at once sees no argocd-cm.
    for verdict in verdicts.iter_mut().filter(|verdict| different(verdict)) {
        let again = ask(version, vec![verdict.question.clone()], now as f64).pop();
        *verdict = again.expect("an answer");
    }
    let (mut accepted, mut known) = (0, BTreeMap::new());
    for verdict in &verdicts {
        accepted += u64::from(verdict.answer.now == version::ACCEPTED);
        for difference in verdict.differences(version) {
            *known.entry(difference).or_insert(0_u64) += 1;
        }
    }
    eprintln!(
        "{version}: {states} states from seed {seed} in {:.0} s, {accepted} accepted, differences: {known:?}",
        began.elapsed().as_secs_f64(),
    );
    let different_ones = verdicts
        .iter()
        .enumerate()
        .filter(|(_, verdict)| different(verdict));
    let smallest = different_ones.min_by_key(|(_, verdict)| verdict.question.to_string().len());
    if let Some((at, _)) = smallest {
        let mut tree = trees.swap_remove(at);
        let verdict = shrink(&mut tree, |question| {
            ask(version, vec![question], now as f64)
                .pop()
                .filter(|verdict| different(verdict))
        });
        panic!("{version} and keyguard disagree, seed {seed}; the smallest state is\n{verdict:#?}");
    }
    // A state that works is rare by chance: without enough of them, agreement would say nothing.
    assert!(
        accepted * 10 >= states,
        "{version}: only {accepted} of {states} accepted"
    );
}

/// Makes the same states from the same seed, on any machine.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    let (low, _) = bytes.split_at_mut(8);
    low.copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), random)
}

/// The last verdict that is still wrong, as the state is made simpler.
fn shrink<T: ValueTree<Value = Question>>(
    tree: &mut T,
    is_wrong: impl Fn(Question) -> Option<Verdict>,
) -> Option<Verdict> {
    let mut smallest = is_wrong(tree.current());
    while tree.simplify() {
        loop {
            match is_wrong(tree.current()) {
                Some(verdict) => smallest = Some(verdict),
                None if tree.complicate() => continue,
                None => return smallest,
            }
            break;
        }
    }
    smallest
}

/// What was said of one question.
#[derive(Debug)]
struct Verdict {
    question: Question,
    answer: Answer,
    /// Why keyguard refuses it as Argo CD runs, and after the next start of argocd-server.
    refused: [Vec<String>; 2],
}

fn ask(version: Version, questions: Vec<Question>, now: f64) -> Vec<Verdict> {
    let answers = version.ask(&questions);
    let verdicts = std::iter::zip(questions, answers).map(|(question, answer)| Verdict {
        refused: [false, true].map(|started| question.refused(version, now, started)),
        question,
        answer,
    });
    verdicts.collect()
}

/// Where the two differ. All but the last are meant, and in docs/argo-cd.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// `nbf` up to 60 s ahead is no defect.
    NotBeforeSoon,
    /// Argo CD passes over a line break inside of a token, which no HTTP header carries.
    LineBreak,
    /// Without `server.secretkey` nobody logs in until the next start of argocd-server, which makes it.
    NoSigningKey,
    /// Argo CD 2.14 ends where `argocd-server-tls` has not both a certificate and its key.
    HalfCertificate,
    /// Argo CD makes a certificate anew at its next start where it cannot read its own: 2.14 always, later versions
    /// where it makes `server.secretkey` too.
    CertificateMadeAnew,
    /// Argo CD 2.14 refuses what was issued in the future.
    IssuedInTheFuture,
    /// Argo CD 2.14 looks at `sub` alone.
    FederatedClaims,
    Unexplained,
}

impl Verdict {
    fn differences(&self, version: Version) -> Vec<Difference> {
        let answers = [&self.answer.now, &self.answer.later];
        let both = std::iter::zip(answers, &self.refused);
        let differ =
            both.filter(|(answer, refused)| (*answer == version::ACCEPTED) != refused.is_empty());
        let mut differences: Vec<_> = differ
            .map(|(answer, refused)| self.explain(version, answer, refused))
            .collect();
        differences.dedup();
        differences
    }

    fn explain(&self, version: Version, answer: &str, refused: &[String]) -> Difference {
        let line_break =
            |defect: &String| defect.contains("TrailingNewline") || defect.contains("LineBreak");
        let old = version == Version::V2_14;
        if refused.is_empty() && answer.contains("not valid yet") && self.question.is_valid_soon() {
            Difference::NotBeforeSoon
        } else if !refused.is_empty() && refused.iter().all(line_break) {
            Difference::LineBreak
        } else if refused.is_empty()
            && answer.contains("server.secretkey is missing")
            && self.question.is_login()
        {
            Difference::NoSigningKey
        } else if old && refused.is_empty() && answer.contains("bad certs") {
            Difference::HalfCertificate
        } else if (old || !self.question.has_signing_key())
            && refused.iter().all(|defect| defect.contains("Certificate"))
        {
            Difference::CertificateMadeAnew
        } else if old && refused.is_empty() && answer.contains("used before issued") {
            Difference::IssuedInTheFuture
        } else if old && self.question.has_federated_claims() {
            Difference::FederatedClaims
        } else {
            Difference::Unexplained
        }
    }
}
