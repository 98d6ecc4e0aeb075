//! The versions of Argo CD that are asked, each a program over its own modules.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::{env, thread};

use serde::Deserialize;

use super::state::Question;
use crate::control_plane::recipe::Recipe;

/// What Argo CD is said to say of a credential that works.
pub(super) const ACCEPTED: &str = "accepted";

/// A version of Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V3_5,
    V3_2,
    V2_14,
}

/// "accepted" or why not: as Argo CD runs, and after the next start of argocd-server.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    id: usize,
    pub(super) now: String,
    pub(super) later: String,
}

impl Version {
    const ALL: [Version; 3] = [Version::V3_5, Version::V3_2, Version::V2_14];

    /// The newest, or those that `KEYGUARD_ORACLE_VERSIONS` names.
    pub(super) fn wanted() -> Vec<Version> {
        let Ok(wanted) = env::var("KEYGUARD_ORACLE_VERSIONS") else {
            return vec![Version::V3_5];
        };
        if wanted == "all" {
            return Version::ALL.to_vec();
        }
        let wanted = wanted.split(',').map(|name| {
            let version = Version::ALL
                .into_iter()
                .find(|version| version.name() == name);
            version.unwrap_or_else(|| panic!("KEYGUARD_ORACLE_VERSIONS: there is no {name}"))
        });
        wanted.collect()
    }

    fn name(self) -> &'static str {
        match self {
            Version::V3_5 => "3.5",
            Version::V3_2 => "3.2",
            Version::V2_14 => "2.14",
        }
    }

    fn recipe(self) -> Recipe {
        match self {
            Version::V3_5 => {
                Recipe::argo_cd("oracle/argo-cd-3.5", "github.com/argoproj/argo-cd/v3")
            }
            Version::V3_2 => {
                Recipe::argo_cd("oracle/argo-cd-3.2", "github.com/argoproj/argo-cd/v3")
            }
            Version::V2_14 => {
                Recipe::argo_cd("oracle/argo-cd-2.14", "github.com/argoproj/argo-cd/v2")
            }
        }
    }

    /// Whether Secrets that describe a cluster are hidden from Argo CD's settings.
    pub(super) fn hides_clusters(self) -> bool {
        self == Version::V3_5
    }

    /// What it says of each question, in their order.
    pub(super) fn ask(self, questions: &[Question]) -> Vec<Answer> {
        let mut asked = Command::new(self.recipe().build())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the program that asks Argo CD");
        let input = asked.stdin.take().expect("a pipe to it");
        let output = asked.stdout.take().expect("a pipe from it");
        let answers: BTreeMap<usize, Answer> = thread::scope(|scope| {
            scope.spawn(|| {
                let mut input = BufWriter::new(input);
                for (id, question) in questions.iter().enumerate() {
                    writeln!(input, "{}", question.to_json(id)).expect("ask Argo CD");
                }
                input.flush().expect("ask Argo CD");
            });
            let answers = serde_json::Deserializer::from_reader(BufReader::new(output));
            let answers = answers.into_iter::<Answer>();
            answers
                .map(|answer| answer.expect("an answer in JSON"))
                .map(|answer| (answer.id, answer))
                .collect()
        });
        let ended = asked
            .wait()
            .expect("wait for the program that asks Argo CD");
        assert!(ended.success(), "{self}: {ended}");
        assert_eq!(
            answers.len(),
            questions.len(),
            "{self}: an answer to each question"
        );
        answers.into_values().collect()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Argo CD {}", self.recipe().version())
    }
}
