//! Marks that scripts leave outside of their pods, so that it is known how often each of them ran.

use std::{
    collections::BTreeMap,
    io,
    net::UdpSocket,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, api::ListParams};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// When each job left which mark for the first time, by the number that its script drew for it.
type Times = BTreeMap<(String, String), BTreeMap<String, Instant>>;

/// A server that notes each request for `/JOB/MARK/NUMBER`.
#[derive(Debug)]
pub struct Marks {
    address: String,
    times: Arc<Mutex<Times>>,
    _task: JoinSet<()>,
}

impl Marks {
    /// Listens on a free port of all addresses, of which pods reach `host`.
    ///
    /// # Errors
    /// Where there is no port.
    pub async fn new(host: &str) -> Result<Self> {
        let listener = TcpListener::bind(("0.0.0.0", 0)).await?;
        let address = format!("{host}:{}", listener.local_addr()?.port());
        let times = Arc::new(Mutex::new(Times::new()));
        let mut task = JoinSet::new();
        let noted = Arc::clone(&times);
        task.spawn(async move {
            let mut requests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                requests.spawn(async move { drop(note(stream, &noted).await) });
                while requests.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, times, _task: task })
    }

    /// Where pods reach it: a host and a port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// When a job left a mark: once for each run of its script.
    pub fn times(&self, job: &str, mark: &str) -> Vec<Instant> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times
            .get(&(job.to_owned(), mark.to_owned()))
            .map(|times| times.values().copied().collect())
            .unwrap_or_default()
    }
}

async fn note(stream: TcpStream, times: &Mutex<Times>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut header = String::new();
    while stream.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let [job, mark, number] = parts.as_slice() {
        let key = ((*job).to_owned(), (*mark).to_owned());
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        times.entry(key).or_default().entry((*number).to_owned()).or_insert_with(Instant::now);
    }
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n").await?;
    stream.shutdown().await
}

/// The address of this machine as pods see it: `E2E_HOST`, or the one that it talks to the cluster's nodes with.
///
/// # Errors
/// Where that cannot be known.
pub async fn address(admin: &Client) -> Result<String> {
    if let Ok(host) = std::env::var("E2E_HOST") {
        return Ok(host);
    }
    let nodes = Api::<Node>::all(admin.clone()).list(&ListParams::default()).await?.items;
    let addresses = nodes.into_iter().filter_map(|node| node.status?.addresses).flatten();
    let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
    let node = internal.next().context("the node has no address: set E2E_HOST")?.address;
    // No packet is sent: this only chooses a way.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((node.as_str(), 9)).context("there is no way to the node: set E2E_HOST")?;
    Ok(socket.local_addr()?.ip().to_string())
}
