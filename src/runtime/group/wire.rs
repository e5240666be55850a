//! How a group's messages get to other nodes: over the router, or over a double in tests.

use actix::Recipient;
use bytes::Bytes;

use super::shell::Heard;
use crate::{
    io::engine::{Lane, PeerEvent, Role, Router, SendError, ServiceId},
    words::{GroupName, NodeName},
};

/// What carries messages between the members of a group.
pub(super) trait Wire: Send + 'static {
    /// Tells the actor from now on what happens, those who are up first.
    fn listen(&mut self, to: Recipient<Heard>);
    /// Sends to one; what cannot be sent is lost.
    fn tell(&self, to: &NodeName, lane: Lane, body: Bytes);
}

/// The router's service `group/NAME`.
pub(super) struct RouterWire {
    router: Router,
    service: ServiceId,
}

impl RouterWire {
    pub(super) fn new(router: Router, group: &GroupName) -> RouterWire {
        RouterWire { router, service: ServiceId::of(&format!("group/{group}")) }
    }
}

impl Wire for RouterWire {
    fn listen(&mut self, to: Recipient<Heard>) {
        let (router, service) = (self.router.clone(), self.service);
        let (mut events, mut incoming) = (router.watch(), router.serve(service));
        actix_rt::spawn(async move {
            tell_who_is_up(&router, &to).await;
            loop {
                // Each message waits until the actor has taken it: what does not fit waits in the router's bounded queue.
                let sent = tokio::select! {
                    // Who came and went first: it is rare, and says whose messages these are.
                    biased;
                    event = events.recv() => match event {
                        Ok(PeerEvent::Up(peer)) if peer.role == Role::Node => to.send(Heard::Up(peer.name)).await,
                        Ok(PeerEvent::Down { peer, .. }) if peer.role == Role::Node => {
                            to.send(Heard::Down(peer.name)).await
                        }
                        Ok(_) => Ok(()),
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                            tell_who_is_up(&router, &to).await;
                            Ok(())
                        }
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                    },
                    message = incoming.recv() => match message {
                        Some(message) => to.send(Heard::Message(message.from.name, message.body)).await,
                        None => return,
                    },
                };
                if sent.is_err() {
                    return;
                }
            }
        });
    }

    fn tell(&self, to: &NodeName, lane: Lane, body: Bytes) {
        match self.router.tell(to, self.service, lane, body) {
            Ok(()) => {}
            // It never will be, however often it is asked for.
            Err(error @ SendError::TooLarge { .. }) => tracing::warn!(%to, %error, "a group's message cannot be sent"),
            Err(error) => tracing::debug!(%to, %error, "a group's message was not sent"),
        }
    }
}

async fn tell_who_is_up(router: &Router, to: &Recipient<Heard>) {
    let nodes = router.peers().into_iter().filter(|peer| peer.role == Role::Node && peer.name != router.me().name);
    // An actor that has ended hears nothing: the loop sees it too.
    let _ = to.send(Heard::Here(nodes.map(|peer| peer.name).collect())).await;
}
