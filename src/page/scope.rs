//! Of which namespaces somebody may list decisions.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::access::Viewer;
use super::asked::is_namespace;
use super::{Page, PageError};

/// The most namespaces that RBAC is asked about for somebody who names none, and how many at once.
pub(super) const MOST_NAMESPACES: usize = 100;
const AT_ONCE: usize = 8;
/// How long what it answered counts.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Of which namespaces somebody may list decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them, and objects without.
    All,
    /// Some of those that have records.
    Some(Namespaces),
}

/// Those of the namespaces with records that somebody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Namespaces {
    /// Their names.
    pub names: Vec<String>,
    /// Whether there are more with records than RBAC was asked about.
    pub has_more: bool,
}

/// What was answered lately, by who looks. All who ask for the same at once wait for one answer.
#[derive(Default)]
pub(super) struct Answers(std::sync::Mutex<HashMap<String, Answer>>);

type Answer = Arc<Mutex<Option<(Namespaces, Instant)>>>;

impl Answers {
    /// What counts for `key`, or else what `ask` says.
    async fn of<E>(
        &self,
        key: String,
        ask: impl Future<Output = Result<Namespaces, E>>,
    ) -> Result<Namespaces, E> {
        let answer = {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|_, answer| {
                let is_old = |answer: &Option<(_, Instant)>| {
                    answer
                        .as_ref()
                        .is_none_or(|(_, since)| since.elapsed() >= REMEMBERED)
                };
                // One that is asked for is locked, or held by who waits for it.
                Arc::strong_count(answer) > 1 || answer.try_lock().is_ok_and(|it| !is_old(&it))
            });
            Arc::clone(answers.entry(key).or_default())
        };
        let mut answer = answer.lock().await;
        if let Some((namespaces, since)) = &*answer
            && since.elapsed() < REMEMBERED
        {
            return Ok(namespaces.clone());
        }
        let namespaces = ask.await?;
        *answer = Some((namespaces.clone(), Instant::now()));
        Ok(namespaces)
    }
}

impl Page {
    /// Of which namespaces somebody may list decisions, when they name one or none.
    ///
    /// # Errors
    /// When it is none, or the API server or the store does not answer.
    pub(super) async fn scope(&self, viewer: &Viewer, wanted: &str) -> Result<Scope, PageError> {
        if self.access.may(viewer, "list", "").await? {
            return Ok(Scope::All);
        }
        let namespaces = match (wanted, viewer) {
            ("", Viewer::Known(user)) => {
                let key = serde_json::to_string(user).unwrap_or_default();
                self.bounds.answers.of(key, self.listed(viewer)).await?
            }
            _ => Namespaces {
                names: self.allowed(viewer, &[wanted.to_owned()]).await?,
                has_more: false,
            },
        };
        match namespaces.names.is_empty() {
            false => Ok(Scope::Some(namespaces)),
            true if namespaces.has_more => Err(PageError::NamespaceWanted),
            true => Err(PageError::Forbidden(format!(
                "{} may not list decisions.keyguard.dev {}. Ask for a RoleBinding to a ClusterRole with this verb, such as keyguard-audit-viewer.",
                viewer.name(),
                match wanted {
                    "" => {
                        "in any namespace that has records; /?namespace=NAME asks about another"
                            .to_owned()
                    }
                    wanted => format!("in the namespace {wanted}"),
                }
            ))),
        }
    }

    /// Which of the first namespaces with records somebody may see.
    async fn listed(&self, viewer: &Viewer) -> Result<Namespaces, PageError> {
        // One more tells whether there are more, and another is that of objects without.
        let most = u32::try_from(MOST_NAMESPACES + 2).unwrap_or(u32::MAX);
        let mut known = self.store.namespaces(most).await?;
        known.retain(|name| is_namespace(name));
        let has_more = known.len() > MOST_NAMESPACES;
        known.truncate(MOST_NAMESPACES);
        let names = self.allowed(viewer, &known).await?;
        Ok(Namespaces { names, has_more })
    }

    async fn allowed(&self, viewer: &Viewer, names: &[String]) -> Result<Vec<String>, PageError> {
        let mut allowed = Vec::new();
        for names in names.chunks(AT_ONCE) {
            let asked = names
                .iter()
                .map(|name| self.access.may(viewer, "list", name));
            let answers = try_join_all(asked).await?;
            let may = names.iter().zip(answers).filter(|(_, may)| *may);
            allowed.extend(may.map(|(name, _)| name.clone()));
        }
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rbac_is_asked_once_for_all_that_one_asks_at_a_time() {
        let (answers, asked) = (Answers::default(), Cell::new(0));
        let ask = |key: &str| {
            answers.of(key.to_owned(), async {
                tokio::task::yield_now().await;
                asked.set(asked.get() + 1);
                Ok::<_, PageError>(Namespaces::default())
            })
        };
        let all = join_all([ask("a"), ask("a"), ask("b"), ask("a")]).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(asked.get(), 2);
        ask("a").await.unwrap();
        assert_eq!(asked.get(), 2);
        tokio::time::sleep(REMEMBERED).await;
        ask("a").await.unwrap();
        assert_eq!(asked.get(), 3);
        // What counts no more is forgotten.
        assert_eq!(answers.0.lock().unwrap().len(), 1);
        let failed = answers.of("c".to_owned(), async { Err::<Namespaces, _>("no") });
        failed.await.unwrap_err();
        ask("c").await.unwrap();
        assert_eq!(asked.get(), 4);
    }
}
