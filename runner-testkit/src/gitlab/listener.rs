//! Connections: taken, wrapped in TLS, served, and reset where a fault wants that.

use std::sync::Arc;

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    service::{self, Face},
    shared::Shared,
};

/// A connection that can be reset.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The connection below it.
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Takes connections as long as the server lives.
pub(super) async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, face: Face) {
    while let Ok((stream, _)) = listener.accept().await {
        if shared.read(|world| world.faults.is_out()) {
            reset(stream);
            continue;
        }
        let (tls, served) = (tls.clone(), Arc::clone(&shared));
        shared.spawn(async move {
            match tls {
                None => serve(stream, served, face).await,
                // A handshake that fails is the client's to tell.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, served, face).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: Transport>(stream: S, shared: Arc<Shared>, face: Face) {
    let service = service_fn(move |request| service::serve(Arc::clone(&shared), face, request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if (&mut connection).await.is_err() {
        reset(connection.into_parts().io.into_inner());
    }
}

/// Ends a connection so that the client sees a reset.
fn reset<S: Transport>(stream: S) {
    // Where that fails, the client sees the end of the stream in its place.
    drop(stream.tcp().set_zero_linger());
    drop(stream);
}
