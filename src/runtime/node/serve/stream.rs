//! Streams that are read with a cursor: events, logs, taps on channels; and messages sent by hand.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Server, not_found, relay};
use crate::{
    io::{
        clock::Stopwatch,
        telemetry::{Record, Whose},
    },
    runtime::{
        channel::{Loss, Tap, Tapped},
        instance::{Failure, Message},
        node::{
            api::{ApiError, ErrorCode, Event, LogsFrom, Page, Reply, Request, TapRecord, WAIT_MAX, waiting},
            wiring,
        },
    },
    words::{ChannelName, InstancePath, NodeName, PortPath, Value},
};

/// The most events in one page.
const EVENTS_PAGE: usize = 512;

/// The most taps that are open at once; each costs its channel a little.
const TAPS_MAX: usize = 64;

/// How long other nodes may keep a question for what passed there.
const THERE_WAIT: Duration = Duration::from_millis(200);

/// A tap that nobody has read for so long is left, and ended.
const TAP_LEFT: Duration = WAIT_MAX.saturating_mul(2);

/// How often an open tap is looked at while its reader waits.
const TAP_PERIOD: Duration = Duration::from_millis(20);

/// How long a component has to take, or answer, a message sent by hand.
const SEND_LIMIT: Duration = Duration::from_secs(8);

/// The taps that readers opened, by cursor.
#[derive(Default)]
pub(super) struct Taps {
    open: BTreeMap<u64, OpenTap>,
    n_opened: u64,
}

struct OpenTap {
    channel: ChannelName,
    /// On this node's fragment, when there is one.
    here: Option<Rc<RefCell<Tap>>>,
    /// On other nodes that send into the channel, each with its cursor there.
    there: Rc<RefCell<BTreeMap<NodeName, Option<u64>>>>,
    read: Stopwatch,
}

impl Server {
    /// What happens, from a cursor on.
    pub(super) async fn watch(&self, cursor: Option<u64>, wait_ms: u64) -> Page<Event> {
        let mut grown = self.world.journal.borrow().grown();
        let page = self.world.journal.borrow().since(cursor, EVENTS_PAGE);
        if !page.items.is_empty() || wait_ms == 0 {
            return page;
        }
        let from = page.next;
        let news = async { while *grown.borrow_and_update() <= from && grown.changed().await.is_ok() {} };
        // Whether news came or the wait is over: the page says.
        let _ = timeout(waiting(wait_ms), news).await;
        self.world.journal.borrow().since(Some(from), EVENTS_PAGE)
    }

    /// Log records of this node, or of an instance on it.
    pub(super) async fn logs(
        &self,
        from: &LogsFrom,
        cursor: Option<u64>,
        n: usize,
        wait_ms: u64,
    ) -> Result<Page<Record>, ApiError> {
        let Some(logs) = &self.options.logs else {
            return Err(ApiError::new(ErrorCode::Refused, "this node keeps no logs"));
        };
        let me = self.world.me.as_str();
        let instance = match from {
            LogsFrom::Node(_) => None,
            LogsFrom::Instance(path) => Some(path.to_string()),
        };
        let wanted = |whose: &Whose| {
            whose.node.as_deref().is_none_or(|node| node == me)
                && instance.as_deref().is_none_or(|instance| whose.instance.as_deref() == Some(instance))
        };
        let watch = Stopwatch::start();
        loop {
            let slice = logs.read(cursor, n, wanted);
            let left = waiting(wait_ms).saturating_sub(watch.elapsed());
            if !slice.records.is_empty() || left.is_zero() {
                return Ok(Page { items: slice.records, next: slice.next, n_missed: slice.n_missed });
            }
            // Whether something came or the wait is over: the next look says.
            let _ = timeout(left, logs.changed(slice.next)).await;
        }
    }

    /// Messages that pass through a channel: each shows at the fragment of the node that sent it, so all of those are watched;
    /// with `only_here`, this node's alone.
    pub(super) async fn tail(
        &self,
        channel: ChannelName,
        cursor: Option<u64>,
        filter: Option<String>,
        n: usize,
        wait_ms: u64,
        only_here: bool,
    ) -> Result<Page<TapRecord>, ApiError> {
        let filter = filter.as_deref().map(super::filter::Filter::parse).transpose()?;
        let id = match cursor {
            Some(id) => id,
            None => self.open_tap(&channel, only_here)?,
        };
        let found =
            self.taps.borrow().open.get(&id).map(|open| (open.channel.clone(), open.here.clone(), open.there.clone()));
        let Some((tapped, here, there)) = found else {
            return Err(not_found("the tap has ended, since nobody read it; start again without a cursor"));
        };
        if tapped != channel {
            return Err(not_found(format!("the tap is on \"{tapped}\", not on \"{channel}\"")));
        }
        let watch = Stopwatch::start();
        let (mut items, mut n_missed) = (Vec::new(), 0);
        loop {
            if let Some(tap) = &here {
                let mut tap = tap.borrow_mut();
                while items.len() < n
                    && let Some(sample) = tap.try_next()
                {
                    items.push(record(sample));
                }
                n_missed = tap.missed();
            }
            let left = waiting(wait_ms).saturating_sub(watch.elapsed());
            items.extend(self.tail_there(&channel, &there, n, left.min(THERE_WAIT)).await);
            items.retain(|record| filter.as_ref().is_none_or(|filter| filter.holds(record)));
            if !items.is_empty() || left.is_zero() {
                break;
            }
            tokio::time::sleep(TAP_PERIOD).await;
        }
        items.sort_by_key(|record| record.at);
        if let Some(open) = self.taps.borrow_mut().open.get_mut(&id) {
            open.read = Stopwatch::start();
        }
        Ok(Page { items, next: id, n_missed })
    }

    /// What passed on the other nodes meanwhile. One that does not answer shows nothing.
    async fn tail_there(
        &self,
        channel: &ChannelName,
        there: &RefCell<BTreeMap<NodeName, Option<u64>>>,
        n: usize,
        wait: Duration,
    ) -> Vec<TapRecord> {
        let nodes: Vec<_> = there.borrow().iter().map(|(node, cursor)| (node.clone(), *cursor)).collect();
        let asked = nodes.into_iter().map(|(node, cursor)| async move {
            let request = Request::Tail {
                channel: channel.clone(),
                cursor,
                filter: None,
                n,
                wait_ms: wait.as_millis() as u64,
                only_here: true,
            };
            (relay::ask(&self.world.router, &node, request).await, node)
        });
        let mut items = Vec::new();
        for (answer, node) in join_all(asked).await {
            // A tap that ended there, or a node that went: it is opened again with the next look.
            let cursor = match answer {
                Ok(Reply::Tail(page)) => {
                    items.extend(page.items);
                    Some(page.next)
                }
                _ => None,
            };
            there.borrow_mut().insert(node, cursor);
        }
        items
    }

    fn open_tap(&self, channel: &ChannelName, only_here: bool) -> Result<u64, ApiError> {
        let model = self.group.current().model;
        if !model.channels.contains_key(channel) {
            return Err(not_found(format!("the model has no channel \"{channel}\"")));
        }
        let here = match wiring::channel(&self.world, channel) {
            Some(handle) => Some(Rc::new(RefCell::new(wiring::door(&handle).map_err(not_found)?.tap()))),
            None => None,
        };
        let sends = |port: &&PortPath| {
            model
                .component(&port.node, &port.component)
                .is_some_and(|component| component.required.contains(&port.port))
        };
        let senders = model.bindings.of_channel(channel).filter(sends).map(|port| port.node.clone());
        let others = senders.filter(|node| !only_here && *node != self.world.me);
        let there: BTreeMap<NodeName, Option<u64>> = others.map(|node| (node, None)).collect();
        let mut taps = self.taps.borrow_mut();
        if taps.open.len() >= TAPS_MAX {
            return Err(ApiError::new(ErrorCode::Refused, format!("{TAPS_MAX} taps are open already")));
        }
        taps.n_opened += 1;
        let id = taps.n_opened;
        let open =
            OpenTap { channel: channel.clone(), here, there: Rc::new(RefCell::new(there)), read: Stopwatch::start() };
        taps.open.insert(id, open);
        actix_rt::spawn(end_when_left(self.taps.clone(), id));
        Ok(id)
    }

    /// Puts a message into an input port of this node.
    pub(super) async fn send(&self, to: &PortPath, value: Value, reply: bool) -> Result<Option<Value>, ApiError> {
        let path = InstancePath::Component(to.node.clone(), to.component.clone());
        let handle = self.world.instances.borrow().at(&path).map(|slot| slot.handle.clone());
        let handle =
            handle.ok_or_else(|| not_found(format!("no component \"{path}\" runs on \"{}\"", self.world.me)))?;
        let answer = handle.call(to.port.as_str(), Message::new(value), SEND_LIMIT).await.map_err(|f| not_sent(&f))?;
        if !reply {
            return Ok(None);
        }
        let value = answer.to_value().map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(Some(value))
    }
}

/// Ends a tap that nobody reads any more: its channel would copy each message for it.
async fn end_when_left(taps: Rc<RefCell<Taps>>, id: u64) {
    loop {
        let unread = taps.borrow().open.get(&id).map(|open| open.read.elapsed());
        match unread {
            None => return,
            Some(unread) if unread >= TAP_LEFT => drop(taps.borrow_mut().open.remove(&id)),
            Some(unread) => tokio::time::sleep(TAP_LEFT - unread).await,
        }
    }
}

/// Why a message had no effect: no such port, a component that crashed at it, or one that does not want it.
fn not_sent(failure: &Failure) -> ApiError {
    let code = match failure {
        Failure::NoPort { .. } => ErrorCode::NotFound,
        failure if failure.is_crash() => ErrorCode::Internal,
        _ => ErrorCode::Refused,
    };
    ApiError::new(code, failure.to_string())
}

/// Why a message was lost, in words.
fn lost(loss: Loss) -> String {
    let words = match loss {
        Loss::NoReceiver => "no receiver",
        Loss::Full => "what is kept had reached its bound",
        Loss::NodeLost => "the receiver's node was away for too long",
        Loss::ReceiverRemoved => "the receiver was removed",
        Loss::GivenUp => "tried as often as the channel allows",
        Loss::Unreadable => "the receiver could not read it",
    };
    words.to_owned()
}

fn record(sample: Tapped) -> TapRecord {
    TapRecord {
        at: sample.at,
        from: sample.from,
        to: sample.to.into_iter().collect(),
        value: sample.value,
        elapsed_us: sample.latency_us,
        lost: sample.lost.map(lost),
    }
}
