use std::sync::Mutex;

use super::*;
use crate::{Surroundings, parse};

/// A server that knows one token of each kind, and what it was asked.
#[derive(Default)]
struct OneAccount(Mutex<Vec<String>>);

impl OneAccount {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn account(token: &str) -> Account {
    Account { id: 7, token: Secret::new(token), token_expires_at: Some("2030-01-02T03:04:05Z".into()) }
}

#[async_trait]
impl Accounts for OneAccount {
    async fn verify(
        &self,
        server: &Server,
        token: &Secret,
        system_id: &str,
        executor: &str,
    ) -> Result<Option<Account>> {
        self.note(format!("verify {} {} {system_id} {executor}", server.url, token.expose()));
        Ok((token.expose() == "glrt-good").then(|| account("glrt-good")))
    }

    async fn register(
        &self,
        server: &Server,
        token: &Secret,
        details: &Details,
        executor: &str,
    ) -> Result<Account> {
        self.note(format!("register {} {} {:?} {executor}", server.url, token.expose(), details.tags));
        if token.expose() == "GR-good" {
            return Ok(account("glrtr-new"));
        }
        Err(Error::new(ErrorKind::Unauthorized, "register the runner"))
    }

    async fn unregister(&self, _: &Server, token: &Secret, _: &str) -> Result<()> {
        self.note(format!("unregister {}", token.expose()));
        if token.expose() == "bad" { Err(Error::new(ErrorKind::Unavailable, "unregister")) } else { Ok(()) }
    }
}

fn registration(token: &str, is_registration: bool) -> Registration {
    Registration {
        server: Server { url: "https://g".into(), tls: Tls::default() },
        token: Secret::new(token),
        is_registration,
        details: Details { description: "build".into(), ..Details::default() },
        entry: NewRunner { executor: "kubernetes".into(), ..NewRunner::default() },
        template: None,
    }
}

#[tokio::test]
async fn an_authentication_token_is_verified_and_written_down() {
    let server = OneAccount::default();
    let text = registration("glrt-good", false).run(&server, "s_1", "concurrent = 2\n").await.unwrap();
    assert_eq!(server.asked(), ["verify https://g glrt-good s_1 kubernetes"]);
    let config = parse("c", &text).resolve(&Surroundings::default()).unwrap();
    let runner = &config.runners[0];
    assert_eq!((config.concurrent, runner.name.as_str(), runner.id), (2, "build", 7));
    assert_eq!(
        (runner.token.expose(), runner.token_expires_at.as_deref()),
        ("glrt-good", Some("2030-01-02T03:04:05Z"))
    );
}

#[tokio::test]
async fn a_registration_token_becomes_an_authentication_token() {
    let server = OneAccount::default();
    let mut wanted = registration("GR-good", true);
    wanted.details.tags = vec!["a".into()];
    let text = wanted.run(&server, "s_1", "").await.unwrap();
    assert_eq!(server.asked(), ["register https://g GR-good [\"a\"] kubernetes"]);
    assert!(text.contains("token = \"glrtr-new\"") && !text.contains("GR-good"), "{text}");
    let as_registration = registration("glrt-good", true).run(&server, "s_1", "").await.unwrap();
    assert!(as_registration.contains("glrt-good"));
}

#[tokio::test]
async fn nothing_is_registered_that_could_not_be_written() {
    let server = OneAccount::default();
    for (text, template) in [("runners = [", None), ("", Some("concurrent = 1"))] {
        let mut wanted = registration("GR-good", true);
        wanted.template = template.map(ToOwned::to_owned);
        assert_eq!(wanted.run(&server, "s_1", text).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn a_token_that_the_server_does_not_know_and_tags_for_one_that_has_them_are_refused() {
    let server = OneAccount::default();
    let unknown = registration("glrt-bad", false).run(&server, "s_1", "").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unauthorized);
    let mut with_tags = registration("glrt-good", false);
    with_tags.details.tags = vec!["a".into()];
    assert_eq!(with_tags.run(&server, "s_1", "").await.unwrap_err().kind(), ErrorKind::Invalid);
}

fn three() -> Config {
    let entry = |name: &str, token: &str| {
        format!(
            "[[runners]]\nname = \"{name}\"\nurl = \"https://g\"\ntoken = \"{token}\"\nexecutor = \"shell\"\n"
        )
    };
    let text = [entry("a", "glrt-good"), entry("b", "bad"), entry("a", "glrt-c")].concat();
    parse("c", &text).resolve(&Surroundings::default()).unwrap()
}

#[tokio::test]
async fn each_selected_runner_has_its_own_fate() {
    let server = OneAccount::default();
    let all = Selection { is_all: true, ..Selection::default() };
    let fates = unregister(&server, &three(), &all, "s_1").await.unwrap();
    let well: Vec<_> = fates.iter().map(|(index, fate)| (*index, fate.is_ok())).collect();
    assert_eq!(well, [(0, true), (1, false), (2, true)]);
    let fates =
        verify(&server, &three(), &Selection { name: Some("a".into()), ..Selection::default() }, "s_1").await;
    let well: Vec<_> = fates.unwrap().iter().map(|(index, fate)| (*index, fate.is_ok())).collect();
    assert_eq!(well, [(0, true), (2, false)]);
}

#[test]
fn a_selection_fits_what_it_names_and_must_fit_something() {
    let of = |selection: Selection| selection.of(&three());
    assert_eq!(of(Selection::default()).unwrap(), [0, 1, 2]);
    assert_eq!(of(Selection { token: Some(Secret::new("bad")), ..Selection::default() }).unwrap(), [1]);
    assert_eq!(of(Selection { url: Some("https://g/".into()), ..Selection::default() }).unwrap(), [0, 1, 2]);
    let both =
        Selection { name: Some("b".into()), token: Some(Secret::new("glrt-c")), ..Selection::default() };
    assert_eq!(of(both).unwrap_err().kind(), ErrorKind::NotFound);
}
