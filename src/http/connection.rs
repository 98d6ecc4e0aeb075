//! One connection: handshake, protocol, requests, end.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::activity::{Activity, Noticed};
use crate::tls::client_certificates::ClientRefusal;
use crate::http::health::Draining;
use crate::http::http_service::HttpService;
use crate::http::listener::{Limits, Transport};
use crate::http::watchdog::{Overdue, Patience, Watchdog};

/// What is read at once. Bodies pass through it; a whole one need not fit.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// What an HTTP/2 client may send before it is read: of one request, and of all on a connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What is kept of an HTTP/2 answer that the client is slow to take.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection may take to say goodbye.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// Serves the connections of one listener.
#[derive(Clone)]
pub(super) struct Server<S> {
    pub(super) transport: Transport,
    pub(super) service: S,
    pub(super) limits: Arc<Limits>,
    /// Tells when clients are to go elsewhere.
    pub(super) draining: Draining,
    /// True once no further request is wanted.
    pub(super) stopping: watch::Receiver<bool>,
}

impl<S: HttpService> Server<S> {
    /// Serves `stream` until it ends. What goes wrong with it is its peer's affair, and logged at debug only.
    pub(super) async fn serve(mut self, stream: TcpStream, activity: Arc<Activity>) {
        // An answer is one small write: held back for a next one it would only come late.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        match self.transport.clone() {
            Transport::Plain => Box::pin(self.http1(stream, activity)).await,
            Transport::Tls { config, metrics } => {
                let _open = metrics.connection_opens();
                let handshake = TlsAcceptor::from(config).accept(stream);
                let shaken = tokio::select! {
                    _ = self.stopping.wait_for(|stopping| *stopping) => return,
                    shaken = timeout(self.limits.tls_handshake_timeout, handshake) => shaken,
                };
                match shaken {
                    // Boxed, so that a connection that never gets this far does not take its room.
                    Ok(Ok(stream)) if speaks_http2(&stream) => {
                        Box::pin(self.http2(stream, activity)).await;
                    }
                    Ok(Ok(stream)) => Box::pin(self.http1(stream, activity)).await,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "TLS handshake");
                        if let Some(refusal) = ClientRefusal::of(&error) {
                            metrics.client_refused(refusal);
                        }
                        metrics.tls_handshake_failed();
                    }
                    Err(elapsed) => {
                        tracing::debug!(error = %elapsed, "TLS handshake");
                        metrics.tls_handshake_failed();
                    }
                }
            }
        }
    }

    async fn http1<T>(self, stream: T, activity: Arc<Activity>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(Noticed::new(stream, Arc::clone(&activity)));
        let service = noted(self.service, Arc::clone(&activity));
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            // One flat buffer makes one TLS record; a queue of two costs more than copying an answer.
            .writev(false)
            .max_header_size(self.limits.max_header_bytes)
            .max_buf_size(READ_BUFFER_BYTES.max(self.limits.max_header_bytes))
            .serve_connection(stream, service);
        let patience = Patience {
            header: Some(self.limits.header_timeout),
            idle: self.limits.idle_timeout,
        };
        // While draining each answer asks for another connection; to close one that is idle would lose a request that
        // is on its way just then.
        let going_away = pending();
        let watchdog = Watchdog::new(activity, patience);
        drive(connection, watchdog, going_away, self.stopping).await;
    }

    async fn http2<T>(self, stream: T, activity: Arc<Activity>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(Noticed::new(stream, Arc::clone(&activity)));
        let service = noted(self.service, Arc::clone(&activity));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(self.limits.max_header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(self.limits.max_concurrent_streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(stream, service);
        let patience = Patience {
            header: None,
            idle: self.limits.idle_timeout,
        };
        // GOAWAY loses nothing: what the client sent before it read it is answered. Whoever comes while draining has no
        // other replica yet, and stays until the end.
        let stays = self.draining.is_draining();
        let going_away = async move {
            match stays {
                true => pending().await,
                false => self.draining.begun().await,
            }
        };
        let watchdog = Watchdog::new(activity, patience);
        drive(connection, watchdog, going_away, self.stopping).await;
    }
}

fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// `service`, with each request noted in `activity`.
fn noted<S: HttpService>(service: S, activity: Arc<Activity>) -> impl HttpService<Body = S::Body> {
    service_fn(move |request: Request<Incoming>| {
        let in_progress = activity.request_begins();
        let answer = service.call(request);
        async move {
            let _in_progress = in_progress;
            answer.await
        }
    })
}

/// Polls `connection` to its end, which comes gracefully when it is `going_away`, the server stops, or nobody uses it.
async fn drive<C>(
    connection: C,
    mut watchdog: Watchdog,
    going_away: impl Future<Output = ()>,
    mut stopping: watch::Receiver<bool>,
) where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut going_away = pin!(going_away);
    let mut stop = pin!(stopping.wait_for(|stopping| *stopping));
    let mut is_closing = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection");
                }
                return;
            }
            _ = stop.as_mut(), if !is_closing => {}
            () = going_away.as_mut(), if !is_closing => {}
            overdue = poll_fn(|context| watchdog.poll_overdue(context)) => {
                if is_closing || overdue == Overdue::Header {
                    tracing::debug!(?overdue, "connection cut");
                    return;
                }
                watchdog.grant(CLOSING_PATIENCE);
            }
        }
        is_closing = true;
        connection.as_mut().graceful_shutdown();
    }
}
