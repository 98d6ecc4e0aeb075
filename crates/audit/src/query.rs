//! Records by what they are searched for, newest first, a page at a time.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::entry::searchable;
use crate::store::{Store, StoreError};
use crate::week::Place;
use keyguard_core::record::Record;

/// The most bytes of the records of a page, unless one alone has more.
const PAGE_BYTES: usize = 8 << 20;

/// How many records make a value a common one.
const COMMON: i64 = 1_000;

/// Which records are wanted; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Filter {
    /// What was decided, such as `deny`.
    pub decision: Option<String>,
    /// A rule that found something.
    pub rule: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// By what the change came.
    pub tool: Option<String>,
    /// The namespace of the object.
    pub namespace: Option<String>,
    /// The name of the object.
    pub object: Option<String>,
    /// The fingerprint of the attempt.
    pub fingerprint: Option<String>,
    /// Whether nothing was to be stored.
    pub dry_run: Option<bool>,
    /// From this time on, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

/// Where a page ended; as text, what [`Page::next`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    time: i64,
    position: i64,
}

/// A record, and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// It as it is in the log.
    pub body: Box<RawValue>,
    /// What a page that ends with it continues after.
    pub cursor: Cursor,
}

/// A page of records.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// The records as they are in the log, newest first.
    pub records: Vec<Box<RawValue>>,
    /// What to continue after; nothing when there are no more.
    pub next: Option<String>,
}

impl Found {
    pub(crate) fn of(row: &AnyRow) -> Result<Found, StoreError> {
        let body: Vec<u8> = row.try_get("body")?;
        let body = String::from_utf8(body).ok().map(RawValue::from_string);
        Ok(Found {
            // What is no JSON any more must not hide the others: it is a record of no version.
            body: body
                .and_then(Result::ok)
                .unwrap_or_else(|| RawValue::NULL.to_owned()),
            cursor: Cursor {
                time: row.try_get("time")?,
                position: row.try_get("position")?,
            },
        })
    }

    /// The record, read.
    ///
    /// # Errors
    /// When a later version has written it.
    pub fn record(&self) -> Result<Record, StoreError> {
        let unknown =
            |_| StoreError::Damaged("a record is none of this version of keyguard".to_owned());
        serde_json::from_str(self.body.get()).map_err(unknown)
    }

    pub(crate) fn position(&self) -> i64 {
        self.cursor.position
    }

    /// When it was answered, in milliseconds since 1970.
    pub fn time(&self) -> i64 {
        self.cursor.time
    }

    /// Its place in the log.
    pub fn place(&self) -> Option<Place> {
        Place::at(self.cursor.position)
    }
}

impl Cursor {
    /// Reads what [`Page::next`] said.
    pub fn parse(text: &str) -> Option<Cursor> {
        // A time before 1970 begins with the same sign.
        let (time, position) = text.rsplit_once('-')?;
        Some(Cursor {
            time: time.parse().ok()?,
            position: position.parse().ok()?,
        })
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Cursor, &'static str> {
        Cursor::parse(&text).ok_or("after is not what a page gave as next")
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> String {
        cursor.to_string()
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.time, self.position)
    }
}

impl Filter {
    /// The columns that are to hold a text, and which: what few records have comes first.
    fn columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let columns = [
            ("r.fingerprint", &self.fingerprint),
            ("r.user_name", &self.user),
            ("r.object", &self.object),
            ("r.tool", &self.tool),
            ("r.namespace", &self.namespace),
            ("r.decision", &self.decision),
        ];
        let wanted = columns.into_iter();
        wanted.filter_map(|(column, wanted)| Some((column, wanted.as_ref()?)))
    }
}

/// What stands in a place of a statement.
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// Which part of the store is looked at.
#[derive(Clone, Copy, Default)]
pub(crate) struct View<'a> {
    /// Nothing that was stored after this position.
    pub(crate) as_of: Option<i64>,
    /// Nothing with these fingerprints.
    pub(crate) without: &'a [String],
}

/// What stands behind WHERE, and the values of its places.
#[derive(Default)]
pub(crate) struct Conditions<'a> {
    all: Vec<String>,
    values: Vec<Value<'a>>,
}

impl<'a> Conditions<'a> {
    /// Those of a filter, but for where the page before ended; `time` is the column of it. When one column is `leading`, the
    /// indexes of the others are kept from being taken.
    pub(crate) fn of(
        filter: &'a Filter,
        time: &str,
        by_rule: bool,
        leading: Option<&str>,
    ) -> Conditions<'a> {
        let mut conditions = Conditions::default();
        if let Some(rule) = &filter.rule {
            let condition = match by_rule {
                true => "w.rule = ?",
                false => {
                    "EXISTS (SELECT 1 FROM record_rules w WHERE w.rule = ? AND w.time = r.time AND w.position = r.position)"
                }
            };
            conditions.add(condition, Value::Text(rule));
        }
        for (column, wanted) in filter.columns() {
            let by_index = leading.is_none_or(|leading| leading == column) && !by_rule;
            let column = match by_index {
                true => column.to_owned(),
                false => format!("{column} || ''"),
            };
            conditions.add(&format!("{column} = ?"), Value::Text(wanted));
        }
        if let Some(dry_run) = filter.dry_run {
            // Most are none: the index helps where nothing else does.
            let sign = if by_rule || leading.is_some() {
                "+"
            } else {
                ""
            };
            conditions.add(
                &format!("{sign}r.dry_run = ?"),
                Value::Number(dry_run.into()),
            );
        }
        if let Some(since) = filter.since {
            conditions.add(&format!("{time} >= ?"), Value::Number(since));
        }
        if let Some(until) = filter.until {
            conditions.add(&format!("{time} < ?"), Value::Number(until));
        }
        conditions
    }

    fn add(&mut self, condition: &str, value: Value<'a>) {
        let place = self.place(value);
        self.all.push(condition.replace('?', &place));
    }

    /// A place for a value, such as `$3`.
    pub(crate) fn place(&mut self, value: Value<'a>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// All of them, joined.
    pub(crate) fn text(&self) -> String {
        match self.all.is_empty() {
            true => "1 = 1".to_owned(),
            false => self.all.join(" AND "),
        }
    }

    /// A statement with the values in their places.
    pub(crate) fn bind<'q>(
        self,
        sql: String,
    ) -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(sql));
        self.values
            .into_iter()
            .fold(query, |query, value| match value {
                Value::Text(text) => query.bind(searchable(text)),
                Value::Number(number) => query.bind(number),
            })
    }
}

impl Store {
    /// At most `limit` records that `filter` asks for.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn query(&self, filter: &Filter, limit: u32) -> Result<Page, StoreError> {
        let (found, more) = self.find(filter, limit).await?;
        let last = found.last().filter(|_| more);
        Ok(Page {
            next: last.map(|found| found.cursor.to_string()),
            records: found.into_iter().map(|found| found.body).collect(),
        })
    }

    /// The record with an id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn record(&self, id: &str) -> Result<Option<Found>, StoreError> {
        let sql = "SELECT r.time, r.position, e.body FROM records r JOIN entries e ON e.position = r.position \
                   WHERE r.id = $1";
        let row = sqlx::query(sql).bind(searchable(id));
        let row = row.fetch_optional(&self.pool).await?;
        row.as_ref().map(Found::of).transpose()
    }

    /// At most `limit` records that `filter` asks for, newest first, each with its place, and whether there are more. They
    /// are fewer when so many would be more than 8 MiB.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find(
        &self,
        filter: &Filter,
        limit: u32,
    ) -> Result<(Vec<Found>, bool), StoreError> {
        self.find_in(View::default(), filter, limit).await
    }

    /// The column by whose index few records are read. SQLite knows not which values are rare, and might read through all
    /// records of a cluster for one user's.
    async fn leading(&self, filter: &Filter) -> Result<Option<&'static str>, StoreError> {
        let mut rarest: Option<(i64, &'static str)> = None;
        for (column, wanted) in filter.columns() {
            let sql = format!(
                "SELECT COUNT(*) AS count FROM (SELECT 1 FROM records r WHERE {column} = $1 LIMIT {COMMON}) AS found"
            );
            let count = sqlx::query(AssertSqlSafe(sql)).bind(searchable(wanted));
            let count: i64 = count.fetch_one(&self.pool).await?.try_get("count")?;
            if rarest.is_none_or(|(fewest, _)| count < fewest) {
                rarest = Some((count, column));
            }
        }
        Ok(rarest.map(|(_, column)| column))
    }

    /// The same in a part of the store.
    pub(crate) async fn find_in(
        &self,
        view: View<'_>,
        filter: &Filter,
        limit: u32,
    ) -> Result<(Vec<Found>, bool), StoreError> {
        // Either the rule leads to the records, in the order of their times, or what few records have does, and the rule
        // is looked up for each of them.
        let few = [
            &filter.user,
            &filter.tool,
            &filter.namespace,
            &filter.object,
            &filter.fingerprint,
        ];
        let by_rule = filter.rule.is_some() && few.iter().all(|wanted| wanted.is_none());
        let time = if by_rule { "w.time" } else { "r.time" };
        let position = if by_rule { "w.position" } else { "r.position" };
        let leading = self.leading(filter).await?;
        let mut conditions = Conditions::of(filter, time, by_rule, leading);
        if let Some(after) = filter.after {
            let places = [after.time, after.position].map(|it| conditions.place(Value::Number(it)));
            let [first, second] = places;
            conditions
                .all
                .push(format!("({time}, {position}) < ({first}, {second})"));
        }
        if let Some(as_of) = view.as_of {
            // The sign keeps it from leading to the records: in the order of their positions all would be read.
            conditions.add(&format!("+{position} <= ?"), Value::Number(as_of));
        }
        if !view.without.is_empty() {
            let without = view.without.iter();
            let places: Vec<_> = without
                .map(|it| conditions.place(Value::Text(it)))
                .collect();
            let condition = format!("r.fingerprint NOT IN ({})", places.join(", "));
            conditions.all.push(condition);
        }
        let from = match by_rule {
            true => "record_rules w JOIN records r ON r.position = w.position",
            false => "records r",
        };
        let sql = format!(
            "SELECT r.time, r.position, e.body FROM {from} JOIN entries e ON e.position = r.position WHERE {} \
             ORDER BY {time} DESC, {position} DESC LIMIT {}",
            conditions.text(),
            u64::from(limit) + 1
        );
        let query = conditions.bind(sql);
        let mut rows = query.fetch(&self.pool);
        let (mut found, mut left) = (Vec::new(), PAGE_BYTES);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        while let Some(row) = rows.try_next().await? {
            if found.len() == most {
                return Ok((found, true));
            }
            let next = Found::of(&row)?;
            let bytes = next.body.get().len();
            if bytes > left && !found.is_empty() {
                return Ok((found, true));
            }
            left = left.saturating_sub(bytes);
            found.push(next);
        }
        Ok((found, false))
    }
}
