//! The servers of the stack, and a place of one's own in them.

use std::process::Command;

use sqlx::Executor;
use uuid::Uuid;

/// What a journey's processes are told.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) brokers: String,
    pub(crate) topic: String,
}

fn address(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run this through `compose/stack run -- cargo test`"))
}

impl Place {
    /// Topics, keys and a database that nobody else uses, on the stack's servers.
    pub(crate) async fn new() -> Self {
        let addresses = ["USHER_KAFKA__BROKERS", "USHER_REDIS__URL", "USHER_POSTGRES__URL"].map(address);
        Self::on(&addresses).await
    }

    /// The same on the servers of a stack of one's own.
    pub(crate) async fn on([brokers, redis, postgres]: &[String; 3]) -> Self {
        let unique = Uuid::new_v4().simple().to_string();
        let database = format!("journey_{unique}");
        let server = sqlx::PgPool::connect(postgres).await.expect("Postgres answers");
        let create = format!("CREATE DATABASE {database}");
        server.execute(sqlx::AssertSqlSafe(create)).await.expect("a database can be made");
        let (base, _) = postgres.rsplit_once('/').expect("a database's address ends in its name");
        let topic = format!("journey-log-{unique}");
        let environment = [
            ("USHER_KAFKA__BROKERS", brokers.clone()),
            ("USHER_KAFKA__TOPIC", topic.clone()),
            ("USHER_KAFKA__DEAD_LETTER_TOPIC", format!("journey-dead-letters-{unique}")),
            ("USHER_KAFKA__GROUP", format!("journey-{unique}")),
            ("USHER_REDIS__URL", redis.clone()),
            ("USHER_REDIS__PREFIX", format!("journey-{unique}")),
            ("USHER_POSTGRES__URL", format!("{base}/{database}")),
            ("USHER_LOG__PARTITIONS", "4".to_owned()),
            ("USHER_AUTH__OPERATOR_KEY", crate::process::OPERATOR_KEY.to_owned()),
            ("USHER_PASS__KEYS", format!("[{{id = \"a\", secret = \"{}A\"}}]", "p".repeat(42))),
            ("USHER_DRAW__KEYS", format!("[{{id = \"a\", secret = \"{}\"}}]", "k".repeat(40))),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { environment, brokers: brokers.clone(), topic }
    }

    /// What the processes are told under `name`.
    pub(crate) fn told(&self, name: &str) -> &str {
        let told = self.environment.iter().find(|(known, _)| known == name);
        &told.unwrap_or_else(|| panic!("{name} is not told")).1
    }
}

/// A stack of one's own, taken down in the end.
pub(crate) struct Stack {
    dir: tempfile::TempDir,
    pub(crate) addresses: [String; 3],
}

impl Stack {
    /// Brings it up, with this many brokers.
    pub(crate) fn up(brokers: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut stack = Self { dir, addresses: Default::default() };
        stack.call(&["up", "--brokers", &brokers.to_string()]);
        let env =
            std::fs::read_to_string(stack.dir.path().join("env")).expect("the stack tells its addresses");
        let value = |name: &str| {
            let line = env.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.unwrap_or_else(|| panic!("the stack tells {name}")).trim_matches(['\'', '"']).to_owned()
        };
        stack.addresses = ["USHER_KAFKA__BROKERS", "USHER_REDIS__URL", "USHER_POSTGRES__URL"].map(value);
        stack
    }

    /// Calls the stack's script.
    pub(crate) fn call(&self, arguments: &[&str]) {
        let script = std::env::var("USHER_STACK")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/compose/stack").to_owned());
        let output = Command::new(script)
            .args(arguments)
            .env("USHER_STACK_DIR", self.dir.path())
            .env_remove("USHER_KAFKA__BROKERS")
            .output()
            .expect("the stack's script runs");
        assert!(output.status.success(), "stack {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.call(&["down"]);
    }
}
