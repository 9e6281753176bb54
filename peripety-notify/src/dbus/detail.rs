//! What methods ask the daemon for: details, and what a person does. Each on a thread that may wait.

use std::sync::Arc;

use peripety::internal::{
    Roots,
    follow::{Request, ask, open},
};
use peripety_client::{Content, Next, Options, Source, Start, Stream};
use peripety_model::{Filter, Incident};
use tokio::sync::Semaphore;

use super::error::Refusal;

/// Callers that ask at a time.
pub(super) const ASKING_MAX: usize = 4;
/// Events that a method gives.
pub(super) const EVENTS_MAX: usize = 256;

/// The way to the daemon, shared by all objects.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    pub(super) roots: Arc<Roots>,
    places: Arc<Semaphore>,
}

fn daemon(error: impl ToString) -> Refusal {
    Refusal::Daemon(error.to_string())
}

impl Detail {
    pub(super) fn new(roots: &Roots) -> Self {
        Self { roots: Arc::new(roots.clone()), places: Arc::new(Semaphore::new(ASKING_MAX)) }
    }

    /// For a caller, of whom a few may ask at a time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Roots) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Refusal::Busy(format!("{ASKING_MAX} callers ask at once, no more may; ask again")));
        };
        self.wait_for(move |roots| {
            // It is taken until the daemon answered, also where the caller no longer waits.
            let _place = place;
            work(roots)
        })
        .await
    }

    async fn wait_for<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Roots) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let roots = Arc::clone(&self.roots);
        tokio::task::spawn_blocking(move || work(&roots)).await.map_err(daemon)?
    }

    /// The answer of the daemon to a request without arguments, as JSON.
    pub(super) async fn answer(&self, request: &'static str) -> Result<String, Refusal> {
        self.request(Request { request: request.to_owned(), ..Request::default() }).await
    }

    /// The answer of the daemon, as JSON.
    pub(super) async fn request(&self, request: Request) -> Result<String, Refusal> {
        self.work(|roots| ask(roots, request).map(|answer| answer.to_string()).map_err(daemon)).await
    }

    /// Events and incidents that the daemon holds, as JSON, the latest `most` of those that `is_wanted` takes.
    pub(super) async fn stored(
        &self,
        filter: Filter,
        most: usize,
        is_wanted: impl Fn(&Content) -> bool + Send + 'static,
    ) -> Result<Vec<String>, Refusal> {
        let read = move |roots: &Roots| {
            let mut stream = Stream::open(Options {
                filter,
                incidents: true,
                source: Source::Socket,
                start: Start::Stored,
                follow: false,
                socket: roots.socket(),
                ..Options::default()
            })
            .map_err(daemon)?;
            let mut found = std::collections::VecDeque::new();
            loop {
                match stream.wait(Some(std::time::Duration::from_secs(10))).map_err(daemon)? {
                    Next::Item(item) if is_wanted(item.content()) => {
                        found.push_back(item.json().to_owned());
                        if found.len() > most {
                            found.pop_front();
                        }
                    }
                    Next::Item(_) => {}
                    Next::Nothing => return Err(daemon("it stopped in the middle of its answer")),
                    Next::Over => return Ok(found.into()),
                }
            }
        };
        self.work(read).await
    }

    /// Incidents that are open, for a caller.
    pub(super) async fn open(&self) -> Result<Vec<Incident>, Refusal> {
        self.work(|roots| open(roots).map_err(daemon)).await
    }

    /// The same for the objects, whatever callers ask meanwhile: without it they would stay as they were.
    pub(super) async fn open_for_objects(&self) -> Result<Vec<Incident>, Refusal> {
        self.wait_for(|roots| open(roots).map_err(daemon)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_keep_each_other_off_and_not_the_objects() {
        let dir = tempfile::tempdir().unwrap();
        let detail = Detail::new(&Roots::under(dir.path()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _callers = Arc::clone(&detail.places).try_acquire_many_owned(ASKING_MAX as u32).unwrap();
        let caller = runtime.block_on(detail.open()).unwrap_err();
        assert!(matches!(caller, Refusal::Busy(_)), "{caller:?}");
        // No daemon is there: it was asked.
        let objects = runtime.block_on(detail.open_for_objects()).unwrap_err();
        assert!(matches!(objects, Refusal::Daemon(_)), "{objects:?}");
    }
}
