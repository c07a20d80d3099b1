//! Asks git which files it does not track.

use std::sync::Mutex;

use async_trait::async_trait;
use runner_core::{Error, ErrorKind, Result, Usage};

use super::{
    Engine,
    course::{Obstacle, Phased},
    environment::Environment,
    git::Git,
    limit::Limit,
    process::Output,
    remote::Remote,
};
use crate::{
    archive::{UNTRACKED, Untracked},
    host::Exit,
};

/// As much of git's list as is read: a million long paths.
const LIST_SIZE: usize = 256 << 20;

const OPERATION: &str = "list the files that git does not track";

/// The files of a job's work tree that git does not track.
#[derive(Debug)]
pub(crate) struct UntrackedFiles<'a> {
    engine: &'a Engine,
    environment: &'a Environment,
    limit: Limit,
    usage: Mutex<Usage>,
}

impl<'a> UntrackedFiles<'a> {
    /// Nothing is asked before somebody wants to know.
    pub(crate) fn new(engine: &'a Engine, environment: &'a Environment, limit: &Limit) -> Self {
        Self { engine, environment, limit: limit.clone(), usage: Mutex::default() }
    }

    /// What git used.
    pub(crate) fn usage(&self) -> Usage {
        self.usage.lock().map(|usage| *usage).unwrap_or_default()
    }

    async fn list(&self) -> Phased<(Exit, Vec<u8>)> {
        let nowhere = Remote { url: String::new(), login: None };
        let git = Git::prepare(self.engine, self.environment, &nowhere, false).await?;
        let mut list = Vec::new();
        let output = Output::Kept(&mut list, LIST_SIZE);
        let (exit, usage) = git.outside_of_phases(&mut self.limit.clone(), output, &UNTRACKED).await?;
        if let Ok(mut sum) = self.usage.lock() {
            *sum = sum.and(usage);
        }
        Ok((exit, list))
    }
}

#[async_trait]
impl Untracked for UntrackedFiles<'_> {
    async fn untracked(&self) -> Result<Vec<u8>> {
        match self.list().await {
            Ok((Exit::Code(0), list)) if list.len() < LIST_SIZE => Ok(list),
            Ok((Exit::Code(0), _)) => Err(Error::new(ErrorKind::Exhausted, OPERATION)),
            Ok((exit, text)) => {
                let text = String::from_utf8_lossy(&text);
                let cause = text.lines().last().unwrap_or("git said nothing").to_owned();
                Err(Error::new(ErrorKind::Internal, OPERATION).with("exit code", exit.code()).because(cause))
            }
            Err(Obstacle::Failed(failure)) => {
                Err(Error::new(ErrorKind::Internal, OPERATION).because(failure.message))
            }
            Err(Obstacle::Halted(_)) => Err(Error::new(ErrorKind::Cancelled, OPERATION)),
        }
    }
}
