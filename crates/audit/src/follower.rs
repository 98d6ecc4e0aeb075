//! Records for others, in the order of the log: what they have not got yet waits in the store itself.

use sqlx::Row as _;

use crate::query::Found;
use crate::store::{Store, StoreError};

/// Somebody who gets each record, such as `webhook`.
#[derive(Clone, Debug)]
pub struct Follower {
    store: Store,
    name: String,
    position: i64,
}

impl Follower {
    /// Goes on where the follower of this name was; a new one begins with the next record.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(store: Store, name: &str) -> Result<Follower, StoreError> {
        let known = "SELECT position FROM followers WHERE name = $1";
        let known = sqlx::query(known).bind(name.to_owned());
        let position = match known.fetch_optional(&store.pool).await? {
            Some(row) => Some(row.try_get("position")?),
            None => None,
        };
        let is_new = position.is_none();
        let position = match position {
            Some(position) => position,
            None => {
                let last = "SELECT COALESCE(MAX(position), 0) AS position FROM entries";
                let last = sqlx::query(last).fetch_one(&store.pool).await?;
                last.try_get("position")?
            }
        };
        let mut follower = Follower {
            store,
            name: name.to_owned(),
            position,
        };
        if is_new {
            follower.keep(position).await?;
        }
        Ok(follower)
    }

    /// Forgets where the follower of this name was: it begins with the next record when it is opened again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget(store: &Store, name: &str) -> Result<(), StoreError> {
        let forget = sqlx::query("DELETE FROM followers WHERE name = $1");
        forget.bind(name.to_owned()).execute(&store.pool).await?;
        Ok(())
    }

    /// At most `limit` of the records that come next, the oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next(&self, limit: u32) -> Result<Vec<Found>, StoreError> {
        let sql = "SELECT r.time, r.position, e.body FROM records r JOIN entries e ON e.position = r.position \
                   WHERE r.position > $1 ORDER BY r.position LIMIT $2";
        let rows = sqlx::query(sql)
            .bind(self.position)
            .bind(i64::from(limit))
            .fetch_all(&self.store.pool)
            .await?;
        rows.iter().map(Found::of).collect()
    }

    /// Keeps that it has all records up to this one.
    ///
    /// # Errors
    /// When the store does not answer; it would get them again then.
    pub async fn has(&mut self, last: &Found) -> Result<(), StoreError> {
        self.keep(last.position()).await
    }

    async fn keep(&mut self, position: i64) -> Result<(), StoreError> {
        let keep = "INSERT INTO followers (name, position) VALUES ($1, $2) \
                    ON CONFLICT (name) DO UPDATE SET position = excluded.position";
        sqlx::query(keep)
            .bind(self.name.clone())
            .bind(position)
            .execute(&self.store.pool)
            .await?;
        self.position = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{MONDAY, WEEK, kept};

    #[tokio::test]
    async fn a_follower_gets_each_record_once_in_the_order_of_the_log_and_goes_on_after_a_restart()
    {
        let mut kept = kept(5).await;
        let mut follower = Follower::open(kept.store.clone(), "webhook").await.unwrap();
        assert!(follower.next(10).await.unwrap().is_empty());
        kept.append(6..=8, MONDAY).await;
        kept.append(9..=9, MONDAY + WEEK).await;
        let mut numbers = Vec::new();
        loop {
            let found = follower.next(2).await.unwrap();
            let Some(last) = found.last() else { break };
            numbers.extend(found.iter().map(|it| it.record().unwrap().number));
            // What was got and not kept comes again.
            assert_eq!(follower.next(2).await.unwrap().len(), found.len());
            follower.has(last).await.unwrap();
            follower = Follower::open(kept.store.clone(), "webhook").await.unwrap();
        }
        assert_eq!(numbers, [6, 7, 8, 9]);
        Follower::forget(&kept.store, "webhook").await.unwrap();
        kept.append(10..=10, MONDAY + WEEK).await;
        let follower = Follower::open(kept.store.clone(), "webhook").await.unwrap();
        assert!(follower.next(10).await.unwrap().is_empty());
        assert_eq!(kept.faults().await, [""; 0]);
    }
}
