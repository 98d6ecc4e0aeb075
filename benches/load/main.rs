//! 30,000 reviews over real TLS against the real program, and against two servers on the same TLS stack that read
//! the same bytes and decide nothing: one answers a constant, one parses out the uid that every answer must carry, which
//! is the least that a webhook can do. How much of what is possible is left.
//!
//! `cargo bench --bench load` prints a table; `-- --rounds N` runs more rounds, `-- --refused` sends a change that is refused.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

#[path = "../common/mod.rs"]
mod common;
mod constant;
mod http1;
mod http2;
mod process;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use process::Process;
use rustls::ClientConfig;

const REVIEWS: usize = 30_000;
const HTTP1_CONNECTIONS: usize = 16;
const HTTP2_CONNECTIONS: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "constant-answer")
    {
        return constant::serve(&arguments[at + 1..]);
    }
    let rounds = arguments
        .iter()
        .position(|argument| argument == "--rounds")
        .map_or(3, |at| {
            arguments[at + 1].parse().expect("--rounds takes a number")
        });
    let folder = tempfile::tempdir().unwrap();
    let tls = tls::made(folder.path());
    let mut body = common::argocd_cm_update();
    if arguments.iter().any(|argument| argument == "--refused") {
        // The object as it will be comes first.
        let text = String::from_utf8(body).unwrap();
        body = text
            .replacen("apiKey, login", "login, login", 1)
            .into_bytes();
    }
    println!(
        "{REVIEWS} reviews of {} bytes, {rounds} round(s)\n",
        body.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let keyguard = Process::keyguard(folder.path());
    println!(
        "start to ready: {:.1} ms",
        keyguard.ready_after.as_secs_f64() * 1e3
    );
    let constant = Process::constant(folder.path(), &[]);
    let echo = Process::constant(folder.path(), &["--echo-uid"]);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (mut of_constant, mut of_echo) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let ours = run(&runtime, &keyguard, &tls, &body, protocol);
            let constant = run(&runtime, &constant, &tls, &body, protocol);
            let echo = run(&runtime, &echo, &tls, &body, protocol);
            println!("{protocol:?}  keyguard:           {ours}");
            println!("{protocol:?}  constant:           {constant}");
            println!("{protocol:?}  constant, with uid: {echo}");
            of_constant.push(ours.per_second / constant.per_second);
            of_echo.push(ours.per_second / echo.per_second);
        }
        println!("{protocol:?}  requests per second, as a part of");
        println!("       the constant:           {}", median(of_constant));
        println!("       the constant, with uid: {}\n", median(of_echo));
    }
    println!(
        "RSS after: keyguard {:.1} MB, constant {:.1} MB",
        keyguard.rss_megabytes(),
        constant.rss_megabytes()
    );
}

fn median(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    format!("{:.2} {ratios:.2?}", ratios[ratios.len() / 2])
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

struct Figures {
    per_second: f64,
    cpu_microseconds: f64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures {
            per_second,
            cpu_microseconds,
        } = self;
        write!(
            formatter,
            "{per_second:>8.0}/s, {cpu_microseconds:>5.1} µs of CPU a review, no error"
        )
    }
}

fn run(
    runtime: &tokio::runtime::Runtime,
    process: &Process,
    tls: &ClientConfig,
    body: &[u8],
    protocol: Protocol,
) -> Figures {
    let mut tls = tls.clone();
    let cpu_before = process.cpu();
    let started = Instant::now();
    match protocol {
        Protocol::Http1 => {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            runtime.block_on(http1::send(
                process.address,
                Arc::new(tls),
                body,
                HTTP1_CONNECTIONS,
                REVIEWS,
            ));
        }
        Protocol::Http2 => {
            tls.alpn_protocols = vec![b"h2".to_vec()];
            runtime.block_on(http2::send(
                process.address,
                Arc::new(tls),
                body,
                HTTP2_CONNECTIONS,
                REVIEWS,
            ));
        }
    }
    let took = started.elapsed();
    let cpu: Duration = process.cpu() - cpu_before;
    Figures {
        per_second: REVIEWS as f64 / took.as_secs_f64(),
        cpu_microseconds: cpu.as_secs_f64() * 1e6 / REVIEWS as f64,
    }
}
