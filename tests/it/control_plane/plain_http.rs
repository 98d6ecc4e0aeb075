//! Just enough HTTP for the health address.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::wait::DEADLINE;

/// An answer's status code and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// Whatever the connection says, and an answer that is not HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    // In one piece: a second small write would wait for the first to be acknowledged.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| io::Error::other(format!("not an HTTP answer: {text}")))
}

/// The whole answer to a request, head and all; in HTTP/1.0, so that it comes in no chunks.
///
/// # Errors
/// Whatever the connection says.
pub(crate) fn ask(
    address: SocketAddr,
    line: &str,
    headers: &[&str],
    body: &str,
) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads an answer that is not in chunks.
pub(super) fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (version, rest) = head.split_once(' ')?;
    let status = rest.split_whitespace().next()?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}
