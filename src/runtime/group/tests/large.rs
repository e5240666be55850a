//! Values of megabytes: what is kept and sent stays within what can be read.

use super::*;
use crate::{
    io::engine::{MESSAGE_MAX_BYTES, codec},
    logic::gossip::{Answer, Replica},
    words::Time,
};

const MB: usize = 1_000_000;

fn with_note(n: usize, n_bytes: usize) -> Model {
    let mut wanted = Model::default();
    let value = n.to_string().repeat(n_bytes);
    wanted.apply(&[channel("x"), note("x", &value)]).unwrap();
    wanted
}

#[test]
fn a_large_value_that_is_set_again_and_again_fits_into_a_message() {
    let mut replica = Replica::new(name("a"), Timing::default().ahead_max);
    for n in 0..6 {
        replica.push(Time::from_ms(1000 + n as u64), wanted_push(with_note(n, 12 * MB))).unwrap();
    }
    let full = codec::encode(&replica.full()).unwrap();
    assert!(full.len() < MESSAGE_MAX_BYTES, "{} bytes", full.len());
    let answered = match replica.answer(&BTreeMap::new(), Replica::new(name("b"), Duration::ZERO).digest()) {
        Answer::Full(full) => GroupMessage::Full(full),
        Answer::Missing(deltas) => GroupMessage::Missing { deltas, vector: replica.vector().clone() },
    };
    let answered = codec::encode(&answered).unwrap();
    assert!(answered.len() < MESSAGE_MAX_BYTES, "{} bytes", answered.len());
}

#[test]
fn a_model_that_fits_into_a_message_reaches_who_comes_whatever_was_overwritten_of_late() {
    let mut replica = Replica::new(name("a"), Timing::default().ahead_max);
    let mut wanted = Model::default();
    for (n, (channel_name, n_bytes)) in
        [("x", 13), ("y", 13), ("z", 13), ("o", 8), ("o", 8), ("o", 8)].iter().enumerate()
    {
        let value = n.to_string().repeat(n_bytes * MB);
        let _ = wanted.apply(&[channel(channel_name)]);
        wanted.apply(&[note(channel_name, &value)]).unwrap();
        replica.push(Time::from_ms(1000 + n as u64), wanted_push(wanted.clone())).unwrap();
    }
    let Answer::Full(full) = replica.answer(&BTreeMap::new(), Replica::new(name("b"), Duration::ZERO).digest()) else {
        panic!("what was overwritten is not kept")
    };
    assert_eq!(full.log.len(), 6);
    let size = codec::encoded_len(&GroupMessage::Full(full)).unwrap();
    assert!(size < MESSAGE_MAX_BYTES, "{size} bytes");
}

#[test]
fn a_model_of_many_small_values_takes_no_more_than_is_reckoned() {
    let mut replica = Replica::new(name("a"), Timing::default().ahead_max);
    let mut wanted = Model::default();
    for n in 0..500 {
        let channel_name = format!("a-channel-with-a-name-as-long-as-people-write-them-{n}");
        wanted.apply(&[channel(&channel_name), note(&channel_name, "a word")]).unwrap();
    }
    replica.push(Time::from_ms(1000), wanted_push(wanted)).unwrap();
    let full = replica.full();
    let (size, reckoned) = (codec::encoded_len(&full).unwrap(), replica.size_of(&full));
    assert!(size <= reckoned && reckoned < 4 * size, "{size} bytes, {reckoned} reckoned");
}

#[actix::test]
async fn a_node_reads_what_it_kept_however_large_the_model_is() {
    let disk = Disk::default();
    let value = "v".repeat(14 * MB);
    {
        let a = member_with(&Net::default(), "a", Box::new(disk.clone()), false, || Box::new(Gossip));
        a.group.synced(LIMIT).await.unwrap();
        for n in 0..5 {
            let channel_name = format!("x{n}");
            a.edit(&[channel(&channel_name), note(&channel_name, &value)]).await;
        }
        a.group.renew();
        let disk = disk.clone();
        eventually("all is kept in one", || disk.0.lock().unwrap().0.len() == 1).await;
    }
    let again = member_with(&Net::default(), "a", Box::new(disk), false, || Box::new(Gossip));
    again.group.synced(LIMIT).await.unwrap();
    assert_eq!(again.group.current().model.channels.len(), 5);
}

#[actix::test]
async fn a_push_that_no_message_can_carry_is_refused_and_leaves_nothing_behind() {
    let disk = Disk::default();
    let a = member_with(&Net::default(), "a", Box::new(disk.clone()), false, || Box::new(Gossip));
    a.group.synced(LIMIT).await.unwrap();
    let refused = a.group.push(wanted_push(with_note(1, MESSAGE_MAX_BYTES))).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("takes 671") && text.contains("at most 66060288") && text.contains("in several"), "{text}");
    assert_eq!(a.group.current().model, Model::default());
    assert!(disk.0.lock().unwrap().0.is_empty());
    a.edit(&[channel("x"), note("x", &"v".repeat(MESSAGE_MAX_BYTES / 2))]).await;
}
