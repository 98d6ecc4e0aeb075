//! `keyguard audit`, and the trail of `keyguard serve`.

use std::fs::{self, File};
use std::io::{BufReader, IsTerminal as _, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};

use keyguard_audit::evidence::Evidence;
use keyguard_audit::note::{Checkpoint, SigningKey, VerifyingKey};
use keyguard_audit::query::{Cursor, Filter, Page};
use keyguard_audit::store::Store;
use keyguard_audit::tiles::{self, CHECKPOINT, ExportError, KEY_FILE};
use keyguard_audit::witness::Witness;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::cli::audit::{
    AskedOf, AuditCommand, Export, Key, Query, RecordFormat, Verify, Wanted, YesNo,
};
use crate::collector::client::{CallError, Client, Target};
use crate::collector::service::page_path;
use crate::commands::audited::{beside, failed, https, no_key, said, unreadable};
use crate::commands::{CommandError, collector};
use crate::page::asked;
use crate::report::records::{self, Lines};
use crate::report::visible::visible;
use crate::telemetry::trail::last_number;
use keyguard_core::record::Record;

/// It is intact, or what was asked for is printed.
const GOOD: u8 = 0;
/// How many records of an export are read at once.
const EXPORTED: u32 = 1_000;
/// It was tampered with.
const TAMPERED: u8 = 1;

/// Does what was typed.
///
/// # Errors
/// When it cannot be done, or it cannot be told whether the store is intact.
pub fn run(command: &AuditCommand) -> Result<u8, CommandError> {
    if let AuditCommand::Serve(arguments) = command {
        return collector::run(arguments).map(|()| GOOD);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::no("timer"))?;
    runtime.block_on(async {
        match command {
            AuditCommand::Serve(_) => Ok(GOOD),
            AuditCommand::Query(arguments) => query(arguments).await.map(|()| GOOD),
            AuditCommand::Verify(arguments) => verify(arguments).await,
            AuditCommand::Export(arguments) => export(arguments).await.map(|()| GOOD),
        }
    })
}

async fn query(arguments: &Query) -> Result<(), CommandError> {
    let after = arguments.after.as_ref();
    let after = after.map(|text| cursor(text, "--after"));
    let filter = Filter {
        after: after.transpose()?,
        ..filter(&arguments.wanted)?
    };
    let page = page(&arguments.of, &filter, arguments.limit).await?;
    let records: Vec<Record> = page.records.iter().filter_map(|it| parsed(it)).collect();
    let text = match arguments.format {
        RecordFormat::Json => match serde_json::to_string(&page) {
            Ok(json) => format!("{json}\n"),
            Err(error) => return Err(CommandError::Failed("the page".to_owned(), error.into())),
        },
        RecordFormat::Csv => records::csv(&records),
        RecordFormat::Table => records::table(&records, page.next.as_deref()),
    };
    stdout()
        .write_all(text.as_bytes())
        .map_err(CommandError::Output)?;
    if let (RecordFormat::Csv, Some(next)) = (arguments.format, page.next) {
        let more = format!("more: --after {next}; keyguard audit export has them all\n");
        stderr()
            .write_all(more.as_bytes())
            .map_err(CommandError::Output)?;
    }
    match arguments.format {
        RecordFormat::Json => Ok(()),
        RecordFormat::Csv | RecordFormat::Table => all_of(page.records.len() - records.len()),
    }
}

fn cursor(text: &str, what: &str) -> Result<Cursor, CommandError> {
    let wrong = || CommandError::Said(format!("{what}: it is not what a page gave as next"));
    Cursor::parse(text).ok_or_else(wrong)
}

fn filter(wanted: &Wanted) -> Result<Filter, CommandError> {
    Ok(Filter {
        decision: wanted.decision.map(|it| it.name().to_owned()),
        rule: wanted.rule.map(|it| it.id().to_owned()),
        user: wanted.user.clone(),
        tool: wanted.tool.clone(),
        namespace: wanted.namespace.clone(),
        object: wanted.object.clone(),
        fingerprint: wanted.fingerprint.clone(),
        dry_run: wanted.dry_run.map(|it| it == YesNo::Yes),
        since: time("--since", wanted.since.as_deref())?,
        until: time("--until", wanted.until.as_deref())?,
        after: None,
    })
}

/// A page of a store, or of a collector.
async fn page(of: &AskedOf, filter: &Filter, limit: u32) -> Result<Page, CommandError> {
    let Some(client) = client(of)? else {
        let store = open(of.store.as_deref().unwrap_or_default()).await?;
        return store.query(filter, limit).await.map_err(failed);
    };
    let answer = client.get(&page_path(filter, limit)).await;
    parsed_answer(&answer.map_err(no_answer)?)
}

/// What asks a collector, if one was typed.
fn client(of: &AskedOf) -> Result<Option<Client>, CommandError> {
    let (Some(server), Some(ca), Some(token)) = (&of.server, &of.ca, &of.token_file) else {
        return Ok(None);
    };
    let target = Target {
        server: https(server)?,
        ca: ca.clone(),
        token: token.clone(),
    };
    Client::new(target).map(Some).map_err(no_answer)
}

fn no_answer(error: CallError) -> CommandError {
    CommandError::Failed("--server".to_owned(), error.into())
}

fn parsed_answer<T: DeserializeOwned>(answer: &[u8]) -> Result<T, CommandError> {
    serde_json::from_slice(answer)
        .map_err(|error| CommandError::Failed("--server: its answer".to_owned(), error.into()))
}

/// A record, if it is one of this version.
fn parsed(record: &RawValue) -> Option<Record> {
    serde_json::from_str(record.get()).ok()
}

/// What is printed is not all: the exit code says so, too.
fn all_of(unreadable: usize) -> Result<(), CommandError> {
    match unreadable {
        0 => Ok(()),
        count => Err(CommandError::Said(format!(
            "{count} records are left out, as they are none of this version of keyguard; use the version that stored them, \
             --format json or --format jsonl"
        ))),
    }
}

async fn verify(arguments: &Verify) -> Result<u8, CommandError> {
    let key = verifying_key(&arguments.key, &arguments.store)?;
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).map_err(unreadable(path))?;
        // An editor may have changed the ends of lines, and a signature is over the others.
        Ok(text.replace("\r\n", "\n"))
    };
    let older: Result<Vec<String>, CommandError> = arguments.checkpoint.iter().map(read).collect();
    let mut witness = Witness::default();
    for path in &arguments.audit_log {
        let file = File::open(path).map_err(unreadable(path))?;
        witness
            .read(BufReader::new(file))
            .map_err(unreadable(path))?;
    }
    let evidence = Evidence {
        key: &key,
        older: &older?,
        witness: (!arguments.audit_log.is_empty()).then_some(&witness),
        last_number: beside(&arguments.store)
            .and_then(|file| last_number(&file.with_extension("number"))),
    };
    let store = Store::open_snapshot(&arguments.store).await;
    let store = store.map_err(failed)?;
    let terminal = stderr().is_terminal();
    let progress = |entries| {
        if terminal {
            // Nobody who looks is nobody who misses it.
            let _ = write!(stderr(), "\r{entries} entries");
        }
    };
    let mut findings = store.verify(&evidence, progress).await.map_err(failed)?;
    // Names and ids are those that others wrote.
    let told = findings.faults.iter_mut().chain(&mut findings.notes);
    told.for_each(|line| *line = visible(line, &[]).into_owned());
    if terminal {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    let text = findings.to_string();
    stdout()
        .write_all(text.as_bytes())
        .map_err(CommandError::Output)?;
    Ok(match findings.faults.is_empty() {
        true => GOOD,
        false => TAMPERED,
    })
}

async fn export(arguments: &Export) -> Result<(), CommandError> {
    if let Some(format) = arguments.format {
        return lines(arguments, format).await;
    }
    let folder = arguments.tiles.as_deref().unwrap_or(Path::new("."));
    let week = arguments.week.as_deref();
    let exported = match client(&arguments.of)? {
        Some(client) => fetched(&client, week, folder).await?,
        None => {
            let address = arguments.of.store.as_deref().unwrap_or_default();
            let key = verifying_key(&arguments.key, address)?;
            let exported = open(address).await?.export(week, &key, folder).await;
            exported.map_err(not_exported)?
        }
    };
    let text = format!("{} {} entries\n", exported.origin, exported.size);
    stdout()
        .write_all(text.as_bytes())
        .map_err(CommandError::Output)
}

fn not_exported(error: ExportError) -> CommandError {
    CommandError::Failed("the log is not exported".to_owned(), error.into())
}

/// Fetches the log of a week from a collector into a folder. The checkpoint comes last, as it is asked for first: what grows
/// meanwhile is left out.
async fn fetched(
    client: &Client,
    week: Option<&str>,
    folder: &Path,
) -> Result<Checkpoint, CommandError> {
    let weeks: Vec<String> = parsed_answer(&client.get("/log/").await.map_err(no_answer)?)?;
    let week = match week {
        Some(week) => weeks.into_iter().find(|it| it == week),
        None => weeks.into_iter().next_back(),
    };
    let week = week.ok_or(ExportError::NoLog).map_err(not_exported)?;
    let get = async |path: &str| {
        let file = client.get(&format!("/log/{week}/{path}")).await;
        file.map_err(no_answer)
    };
    let note = get(CHECKPOINT).await?;
    let checkpoint = Checkpoint::parse(&String::from_utf8_lossy(&note));
    let checkpoint = checkpoint.map_err(|error| no_key(Path::new(CHECKPOINT), error))?;
    for path in tiles::paths(checkpoint.size)
        .iter()
        .map(String::as_str)
        .chain([KEY_FILE])
    {
        tiles::write(folder, path, &get(path).await?).map_err(not_exported)?;
    }
    tiles::write(folder, CHECKPOINT, &note).map_err(not_exported)?;
    Ok(checkpoint)
}

/// Writes all records that are wanted, a page after the other.
async fn lines(arguments: &Export, format: Lines) -> Result<(), CommandError> {
    let mut filter = filter(&arguments.wanted)?;
    let (mut text, mut unreadable) = (format.header(), 0);
    loop {
        let page = page(&arguments.of, &filter, EXPORTED).await?;
        for record in &page.records {
            match (format, parsed(record)) {
                (Lines::Jsonl, None) if record.get() != RawValue::NULL.get() => {
                    text.extend([record.get(), "\n"]);
                }
                (_, Some(known)) => text.push_str(&format.line(record.get(), &known)),
                (_, None) => unreadable += 1,
            }
        }
        let output = std::mem::take(&mut text);
        stdout()
            .write_all(output.as_bytes())
            .map_err(CommandError::Output)?;
        match page.next {
            None => return all_of(unreadable),
            Some(next) => filter.after = Some(cursor(&next, "what comes next")?),
        }
    }
}

async fn open(address: &str) -> Result<Store, CommandError> {
    Store::open_to_read(address).await.map_err(failed)
}

fn verifying_key(key: &Key, address: &str) -> Result<VerifyingKey, CommandError> {
    let beside = || beside(address).map(|file| file.with_extension("key"));
    let path = key.key.clone().or_else(beside);
    let path =
        path.ok_or_else(|| said("--key: the key of the log, which an export has as key.pub"))?;
    // A pod may have no file with it.
    if let Some(Ok(key)) = path.to_str().map(VerifyingKey::parse) {
        return Ok(key);
    }
    let text = fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(unreadable(&path))?;
    let private = SigningKey::parse(&text).map(|key| key.verifying_key());
    private
        .or_else(|_| VerifyingKey::parse(&text))
        .map_err(|error| no_key(&path, error))
}

/// A time, or how long ago it was, in milliseconds since 1970.
fn time(flag: &str, text: Option<&str>) -> Result<Option<i64>, CommandError> {
    let Some(text) = text else {
        return Ok(None);
    };
    match asked::time(text) {
        Some(time) => Ok(Some(time)),
        None => Err(CommandError::Said(format!(
            "{flag}: a time is written as 2026-11-27T12:00:00Z, or as how long ago it was, such as 7d"
        ))),
    }
}
