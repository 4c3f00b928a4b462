//! The topics: how they are made, and what a start refuses.

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use usher_events::log::kafka::{
    AdminFault, KafkaConfig, MAX_MESSAGE_BYTES, Setting, Severity, check_topic, ensure_topics,
};

use crate::place::{Place, admin, config};

#[tokio::test]
async fn the_topics_that_migrate_makes_are_fit_for_the_log() {
    let place = Place::new(16).await;
    let facts = check_topic(&place.config).await.unwrap();
    assert_eq!(facts.partitions, 16);
    assert!(facts.max_message_bytes >= MAX_MESSAGE_BYTES as u64);
    let again = ensure_topics(&place.config).await.unwrap();
    assert_eq!(facts, again, "making them again changes nothing");
}

#[tokio::test]
async fn with_one_broker_a_start_warns_that_its_loss_is_the_logs() {
    let place = Place::new(1).await;
    let facts = check_topic(&place.config).await.unwrap();
    let warned: Vec<_> = facts.warnings.iter().map(|fault| (fault.setting, fault.severity)).collect();
    assert_eq!((facts.replicas, warned), (1, vec![(Setting::Replicas, Severity::Warn)]));
}

#[tokio::test]
async fn a_missing_topic_is_named_and_not_made_by_asking() {
    let config = config(1);
    for _ in 0..2 {
        let fault = check_topic(&config).await.unwrap_err();
        assert!(matches!(&fault, AdminFault::Missing(topic) if *topic == config.topic), "{fault}");
    }
}

#[tokio::test]
async fn another_number_of_partitions_than_configured_is_refused() {
    let place = Place::new(3).await;
    let config = KafkaConfig { partitions: 4, ..place.config.clone() };
    assert_eq!(refused(&config).await, [(Setting::Partitions, "4".to_owned(), "3".to_owned())]);
}

#[tokio::test]
async fn each_setting_that_could_lose_records_is_refused_by_name() {
    let largest = format!("at least {MAX_MESSAGE_BYTES}");
    for (setting, expected, actual) in [
        (Setting::CleanupPolicy, "delete", "compact"),
        (Setting::RetentionMs, "-1", "604800000"),
        (Setting::RetentionBytes, "-1", "1000000000"),
        (Setting::UncleanLeaderElection, "false", "true"),
        (Setting::TimestampType, "LogAppendTime", "CreateTime"),
        (Setting::MaxMessageBytes, largest.as_str(), "1048588"),
    ] {
        let place = made_with(&[(setting.name(), actual)]).await;
        let found = refused(&place.config).await;
        assert_eq!(found, [(setting, expected.to_owned(), actual.to_owned())]);
    }
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let place = made_with(&[("cleanup.policy", "compact"), ("retention.ms", "1000")]).await;
    let told = check_topic(&place.config).await.unwrap_err().to_string();
    assert!(told.contains("cleanup.policy is compact, expected delete"), "{told}");
    assert!(told.contains("retention.ms is 1000, expected -1"), "{told}");
}

#[tokio::test]
async fn brokers_that_are_not_there_are_not_a_missing_topic() {
    let config = KafkaConfig { brokers: "127.0.0.1:1".to_owned(), ..config(1) };
    let fault = check_topic(&config).await.unwrap_err();
    assert!(matches!(fault, AdminFault::Unreachable(_)), "{fault}");
}

/// A topic as the log needs it, but for `settings`.
async fn made_with(settings: &[(&str, &str)]) -> Place {
    let place = Place { config: config(1) };
    let largest = MAX_MESSAGE_BYTES.to_string();
    let mut topic = NewTopic::new(&place.config.topic, 1, TopicReplication::Fixed(1));
    for (name, fit) in [
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("unclean.leader.election.enable", "false"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", &largest),
    ] {
        let set = settings.iter().find(|(other, _)| *other == name);
        topic = topic.set(name, set.map_or(fit, |(_, value)| value));
    }
    for (name, value) in settings.iter().filter(|(name, _)| *name == "cleanup.policy") {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(crate::place::PATIENCE));
    let made = admin().create_topics([&topic], &options).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    place
}

/// What the start is refused for: setting, expected, actual.
async fn refused(config: &KafkaConfig) -> Vec<(Setting, String, String)> {
    match check_topic(config).await {
        Err(AdminFault::Unfit { faults, .. }) => faults
            .into_iter()
            .filter(|fault| fault.severity == Severity::Refuse)
            .map(|fault| (fault.setting, fault.expected, fault.actual))
            .collect(),
        other => panic!("it should be refused: {other:?}"),
    }
}
