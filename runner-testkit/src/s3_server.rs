//! A store that speaks S3, in the process of a test: the crate `s3s` on a directory that goes with it.

use std::{io, net::SocketAddr};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

/// A store without buckets. It ends with this.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl S3Server {
    /// The key that the store knows.
    pub const ACCESS_KEY: &str = "test-access-key";
    /// Its secret.
    pub const SECRET_KEY: &str = "test-secret-key";

    /// Starts a store on a free port of this machine.
    ///
    /// # Errors
    /// Those of the file system and the network.
    pub async fn start() -> io::Result<Self> {
        Self::start_on("127.0.0.1:0").await
    }

    /// The same on this address.
    ///
    /// # Errors
    /// The same.
    pub async fn start_on(listen: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let files = FileSystem::new(folder.path()).map_err(|cause| io::Error::other(format!("{cause:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let service = builder.build();
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // How a connection ends is the client's business.
                    drop(server.serve_connection(TokioIo::new(socket), service).await);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, folder, _serving: serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its buckets are, each a directory.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
