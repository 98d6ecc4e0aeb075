//! What was typed after `keyguard token`.

use std::ffi::OsString;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgGroup, Args, Subcommand};
use zeroize::Zeroizing;

use crate::cli::ReadFrom;

/// What keyguard can do with a token.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print what a token says of itself and everything that is wrong with it, and never the token
    ///
    /// Account, capability, id, times and algorithm, then each defect with the rule that refuses it and how
    /// to mend it. With --argocd-namespace the Argo CD there is asked too, by its own Secret and ConfigMap.
    ///
    /// Ends with 0 when nothing is wrong, with 1 when something is, and with 2 when that cannot be told.
    Inspect(Inspect),
}

/// Arguments of `keyguard token inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE, group = ArgGroup::new("token").required(true))]
pub struct Inspect {
    /// A key of a Secret
    #[arg(long, value_name = "NAMESPACE/NAME/KEY", group = "token")]
    pub secret: Option<String>,
    /// A file with the token and nothing else
    #[arg(long, value_name = "FILE", group = "token")]
    pub file: Option<PathBuf>,
    /// Read the token from standard input
    #[arg(value_name = "-", group = "token", num_args = 0..)]
    pub typed: Vec<OsString>,
    /// The namespace of the Argo CD that the token is for, whose own state is to tell whether it is accepted
    #[arg(long, value_name = "NAMESPACE", env = "KEYGUARD_ARGOCD_NAMESPACE")]
    pub argocd_namespace: Option<String>,
    /// What is read.
    #[command(flatten)]
    pub read: ReadFrom,
}

const EXAMPLE: &str = "Example:
  keyguard token inspect --secret gitops/argocd-api-key/token --argocd-namespace argocd \\
    --kubeconfig ~/.kube/config";

/// What is said to who typed a token.
pub const TYPED: &str = "a token on the command line is in the shell's history and in the list of processes: it is \
    not looked at; generate another one and pass it by --secret, --file or standard input (-)";

/// Whether one of the arguments, which make no sense, may hold a token, so that nothing of them may be repeated.
pub fn may_be_among(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut arguments = arguments.into_iter().skip(1);
    arguments.any(|argument| {
        let argument = argument.to_string_lossy();
        argument.contains("eyJ") || holds_one(&argument)
    })
}

/// Whether a text holds a token, or a segment of one: base64url of something that begins as a JSON object does.
///
/// No command takes one, but people paste what they have copied, and errors repeat paths, addresses and names.
pub fn holds_one(text: &str) -> bool {
    /// No segment with a claim in it is shorter.
    const LEAST: usize = 16;
    let words = text.split(|character: char| {
        !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
    });
    words.filter(|word| word.len() >= LEAST).any(|word| {
        // As far as there are whole groups: what was cut off is one too.
        let whole = word.get(..word.len() / 4 * 4).unwrap_or_default();
        let Ok(decoded) = URL_SAFE_NO_PAD.decode(whole).map(Zeroizing::new) else {
            return false;
        };
        let object = decoded.trim_ascii_start().strip_prefix(b"{");
        object.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
    })
}

/// Says which of the program's own variables holds a token.
pub fn variable_with_one(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Option<String> {
    let mut variables = variables.into_iter();
    let (name, _) = variables.find(|(name, value)| {
        name.to_string_lossy().starts_with("KEYGUARD_") && holds_one(&value.to_string_lossy())
    })?;
    Some(format!(
        "{} holds a token where none belongs: it is not repeated; generate another one",
        name.to_string_lossy()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn inspect(line: &[&str]) -> Result<Inspect, clap::Error> {
        let line = ["keyguard", "token", "inspect"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Token(TokenCommand::Inspect(inspect)) => Ok(inspect),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_comes_from_one_place() {
        for good in [
            &["--secret", "a/b/c"][..],
            &["--file", "f"],
            &["-"],
            &["-", "--argocd-namespace", "argocd", "--state", "s"],
        ] {
            assert!(inspect(good).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &["--secret", "a/b/c", "--file", "f"],
            &["--secret", "a/b/c", "-"],
            &["-", "--state", "s", "--kubeconfig", "k"],
        ] {
            assert!(inspect(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn whatever_is_typed_as_a_token_is_taken_so_that_it_can_be_refused() {
        for typed in ["eyJ.eyJ.x", "anything"] {
            let inspect = inspect(&[typed]).unwrap();
            assert_eq!(inspect.typed, [typed]);
        }
    }

    #[test]
    fn a_token_among_the_arguments_is_seen_wherever_it_stands() {
        let among = |line: &str| may_be_among(line.split(' ').map(OsString::from));
        for line in [
            "keyguard token eyJx.eyJy.z",
            "keyguard serve --config=eyJx.eyJy.z",
        ] {
            assert!(among(line), "{line}");
        }
        for line in ["keyguard token inspect", "/home/eyJ/keyguard serve"] {
            assert!(!among(line), "{line}");
        }
    }

    #[test]
    fn what_people_type_every_day_is_no_token() {
        for text in [
            "eyewitness-config-of-mine",
            "/etc/keyguard/everything-is-here/tls.crt",
            "https://keyguard.example.com:8443/validate",
            "keyguard/keyguard-certificates:443",
            "/tmp/.tmpPxObn7AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
            "eyeyeyeyeyeyeyeyeyeyeyey",
            "",
        ] {
            assert!(!holds_one(text), "{text}");
        }
        let segment = URL_SAFE_NO_PAD.encode(r#" { "iss": "argocd"}"#);
        for text in [
            segment.clone(),
            format!("/tmp/{segment}.x"),
            format!("--url=https://{segment}"),
            segment[..17].to_owned(),
        ] {
            assert!(holds_one(&text), "{text}");
        }
    }
}
