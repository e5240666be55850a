use super::*;
use crate::{
    io::engine::{Address, MESSAGE_MAX_BYTES, Peer, Role, ServiceId, envelope::tell_head, wire::Ticks},
    logic::link::Limits,
};

fn peer() -> Peer {
    Peer { name: "n".parse().unwrap(), incarnation: 1, role: Role::Node }
}

fn with(body: &Bytes) -> Parcel {
    Parcel::One(Incoming { from: peer(), body: body.clone(), reply: None })
}

fn one(number: u8) -> Parcel {
    with(&Bytes::copy_from_slice(&[number]))
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_tells_when_there_is_room() {
    let queue = Arc::new(Queue::default());
    let mut inbox = Inbox::of(queue.clone());
    for _ in 0..INBOX_MAX {
        queue.deliver(one(1)).unwrap();
    }
    assert!(matches!(queue.deliver(one(2)), Err(Undelivered::Full(_))));
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.has_room().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(inbox.recv().await.unwrap().body[0], 1);
    waiting.await.unwrap();
    queue.deliver(one(2)).unwrap();
    let mut messages = Vec::new();
    while inbox.recv_many(&mut messages, 1000).await == 1000 {}
    assert_eq!((messages.len(), messages.last().unwrap().body[0]), (INBOX_MAX, 2));
}

#[tokio::test]
async fn a_service_that_ends_gives_what_it_has_and_takes_no_more() {
    let queue = Arc::new(Queue::default());
    let mut inbox = Inbox::of(queue.clone());
    queue.deliver(one(1)).unwrap();
    queue.close();
    assert!(matches!(queue.deliver(one(2)), Err(Undelivered::NoService(_))));
    assert!(inbox.recv().await.is_some());
    assert!(inbox.recv().await.is_none());
}

#[tokio::test]
async fn large_messages_fill_a_queue_by_their_bytes_and_room_for_them_is_told() {
    let (queue, mib) = (Arc::new(Queue::default()), Bytes::from(vec![0; 1024 * 1024]));
    let mut inbox = Inbox::of(queue.clone());
    let n_fit = (0..INBOX_MAX).take_while(|_| queue.deliver(with(&mib)).is_ok()).count();
    assert_eq!(n_fit, INBOX_MAX_BYTES / mib.len());
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.has_room().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(inbox.recv().await.is_some());
    waiting.await.unwrap();
    queue.deliver(with(&mib)).unwrap();
    assert!(matches!(queue.deliver(with(&mib)), Err(Undelivered::Full(_))));
}

#[tokio::test]
async fn large_messages_that_were_taken_make_room_while_their_taker_is_busy() {
    let (queue, mib) = (Arc::new(Queue::default()), Bytes::from(vec![0; 1024 * 1024]));
    let mut inbox = Inbox::of(queue.clone());
    while queue.deliver(with(&mib)).is_ok() {}
    assert!(inbox.recv().await.is_some());
    queue.deliver(with(&mib)).unwrap();
}

#[tokio::test]
async fn the_largest_message_passes_and_keeps_the_next_one_out() {
    let (queue, largest) = (Arc::new(Queue::default()), Bytes::from(vec![0; MESSAGE_MAX_BYTES]));
    let mut inbox = Inbox::of(queue.clone());
    queue.deliver(with(&largest)).unwrap();
    assert!(matches!(queue.deliver(one(1)), Err(Undelivered::Full(_))));
    assert_eq!(inbox.recv().await.unwrap().body.len(), MESSAGE_MAX_BYTES);
    queue.deliver(one(1)).unwrap();
}

/// A frame of so many tells, and a run of the first ones.
fn first_of(n_run: usize, n: usize) -> (Bytes, Parcel) {
    let wire = Wire::new(1, peer(), Address("there".into()), Limits::default(), Ticks::start());
    let head = tell_head(ServiceId::of("service"));
    let record = [&(head.len() as u32).to_le_bytes()[..], &head[..]].concat();
    let frame = Bytes::from(record.repeat(n));
    let run = Run::new(Arc::new(wire), Lane::Bulk, frame.slice(..n_run * record.len()), frame.len(), n_run);
    (frame, Parcel::Run(run))
}

#[tokio::test]
async fn few_of_the_frames_that_came_are_kept_for_the_sake_of_one_message() {
    let queue = Arc::new(Queue::default());
    let mut inbox = Inbox::of(queue.clone());
    let mut n_kept = 0;
    for _ in 0..FRAMES_MAX + 10 {
        let (frame, parcel) = first_of(1, 100);
        queue.deliver(parcel).unwrap();
        n_kept += usize::from(!frame.is_unique());
    }
    assert_eq!(n_kept, FRAMES_MAX);
    let mut messages = Vec::new();
    assert_eq!(inbox.recv_many(&mut messages, INBOX_MAX).await, FRAMES_MAX + 10);
}

#[tokio::test]
async fn a_run_that_is_put_in_part_by_part_leaves_nothing_behind() {
    let queue = Arc::new(Queue::default());
    let mut inbox = Inbox::of(queue.clone());
    for _ in 2..INBOX_MAX {
        queue.deliver(one(1)).unwrap();
    }
    let Err(Undelivered::Full(rest)) = queue.deliver(first_of(5, 9).1) else { panic!("there is room for two") };
    assert_eq!(rest.len(), 3);
    while inbox.try_recv().is_some() {}
    queue.deliver(rest).unwrap();
    while inbox.try_recv().is_some() {}
    let state = queue.lock();
    assert_eq!(state.n_put, queue.n_taken.load(SeqCst));
    assert_eq!(state.bytes_put, queue.bytes_taken.load(SeqCst));
    assert_eq!(state.n_put, INBOX_MAX + 3);
}
