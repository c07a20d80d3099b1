//! Lists the objects of a bucket.

use std::time::SystemTime;

use reqsign_core::time::Timestamp;
use reqwest::Method;
use runner_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::client::{Ask, Client};

/// A page has at most a thousand objects, and their names at most 1024 letters, each of them as six at worst.
const PAGE: usize = 8 << 20;

/// An object as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its whole key.
    pub(crate) key: String,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was written.
    pub(crate) written: SystemTime,
}

/// One page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Page {
    contents: Vec<Contents>,
    common_prefixes: Vec<CommonPrefix>,
    is_truncated: bool,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    last_modified: String,
    #[serde(default)]
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

impl Client {
    /// Every object whose key begins with `prefix`, a page at a time.
    ///
    /// # Errors
    /// Those of [`must`](Self::must), and [`ErrorKind::Corrupt`] where the answer is no list.
    pub(crate) async fn list(&self, prefix: &str, mut page: impl FnMut(Vec<Listed>)) -> Result<()> {
        let read = |read: Page| page(read.contents.into_iter().map(Listed::of).collect());
        self.pages(&[("prefix", prefix)], read).await
    }

    /// The folders right below `prefix`, each with a slash at its end.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut folders = Vec::new();
        let read = |read: Page| folders.extend(read.common_prefixes.into_iter().map(|found| found.prefix));
        self.pages(&[("delimiter", "/"), ("prefix", prefix)], read).await?;
        Ok(folders)
    }

    async fn pages(&self, what: &[(&str, &str)], mut read: impl FnMut(Page)) -> Result<()> {
        const DOING: &str = "list the objects of the cache";
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2")];
            query.extend_from_slice(what);
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let body =
                self.must(&Ask { query: &query, limit: PAGE, ..Ask::new(DOING, Method::GET, "") }).await?;
            let page = parse(&body)?;
            let next = page.next_continuation_token.clone().filter(|token| !token.is_empty());
            token = next.filter(|_| page.is_truncated);
            read(page);
            if token.is_none() {
                return Ok(());
            }
        }
    }
}

impl Listed {
    fn of(contents: Contents) -> Self {
        let Contents { key, last_modified, size } = contents;
        // One whose time cannot be read counts as new, so that nobody removes it.
        let written = last_modified.parse::<Timestamp>();
        let written = written.map_or_else(|_| SystemTime::now(), Timestamp::as_system_time);
        Self { key, size, written }
    }
}

fn parse(body: &[u8]) -> Result<Page> {
    let wrong = || Error::new(ErrorKind::Corrupt, "read a list of objects");
    let text = std::str::from_utf8(body).map_err(|cause| wrong().because(cause))?;
    quick_xml::de::from_str(text).map_err(|cause| wrong().because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_odd_names() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Name>b</Name><Prefix/><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
            <Contents><Key>a&amp;b/c</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>\"x\"</ETag><Size>7</Size></Contents>\
            <Contents><Key>d</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>0</Size></Contents></ListBucketResult>";
        let page = parse(text.as_bytes()).unwrap();
        assert!(page.is_truncated);
        let listed: Vec<_> = page.contents.into_iter().map(Listed::of).collect();
        assert_eq!((listed[0].key.as_str(), listed[0].size, listed[1].key.as_str()), ("a&b/c", 7, "d"));
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(since(listed[0].written), 1_767_323_045);
    }

    #[test]
    fn an_empty_bucket_has_an_empty_page() {
        let page = parse(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert!(page.contents.is_empty() && !page.is_truncated);
    }
}
