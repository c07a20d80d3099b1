//! A proxy that does to connections what networks and stores do.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// So much is passed on at a time.
const PIECE: usize = 16 << 10;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is cut when so many bytes have gone either way.
    Cut(u64),
    /// Its first request is answered with this status, and it is closed.
    Answer(u16),
    /// Nothing passes for this long.
    Hold(Duration),
    /// So many bytes a second pass, each way.
    Rate(u64),
}

/// A proxy in front of one server. It ends with this.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl FaultProxy {
    /// Starts a proxy that listens on `listen` and passes on to `target`; `plan` says what becomes of each connection, by its
    /// number from 0.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn start(
        listen: &str,
        target: &str,
        plan: impl Fn(usize) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let target: Arc<str> = target.into();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let (mut connections, mut number) = (JoinSet::new(), 0);
            while let Ok((socket, _)) = listener.accept().await {
                let (fault, target) = (plan(number), Arc::clone(&target));
                number += 1;
                // A connection that fails is what this is for.
                connections.spawn(async move { drop(pass(socket, &target, fault).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, _serving: serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn pass(mut client: TcpStream, target: &str, fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Answer(status) => return answer(&mut client, status).await,
        Fault::Hold(span) => sleep(span).await,
        Fault::None | Fault::Cut(_) | Fault::Rate(_) => {}
    }
    let mut server = TcpStream::connect(target).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    // Either end closes both: HTTP needs no half of a connection.
    tokio::select! {
        there = copy(&mut from_client, &mut to_server, fault) => there,
        back = copy(&mut from_server, &mut to_client, fault) => back,
    }
}

async fn answer(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(text.as_bytes()).await?;
    client.shutdown().await?;
    // A client that still sends would lose the answer to a reset.
    tokio::io::copy(client, &mut tokio::io::sink()).await.map(drop)
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    fault: Fault,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let (mut passed, began) = (0_u64, Instant::now());
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        passed += count as u64;
        match fault {
            Fault::Cut(limit) if passed >= limit => return Err(io::ErrorKind::ConnectionReset.into()),
            Fault::Rate(rate) => {
                sleep_until(began + Duration::from_nanos(passed.saturating_mul(1_000_000_000) / rate.max(1)))
                    .await;
            }
            _ => {}
        }
    }
}
