"""Secrets in command lines are hidden, and what is none stays readable."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._redact import MASK, redact

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["app", f"--password={SECRET}"], "app --password=***"),
        (["app", f"--password={SECRET} with blanks", "--port=80"], "app --password=*** --port=80"),
        (["app", "--db-password", SECRET, "--verbose"], "app --db-password *** --verbose"),
        (["app", "--password", "--verbose"], "app --password --verbose"),
        (["app", f"--api-key={SECRET}", f"--apiKey={SECRET}"], "app --api-key=*** --apiKey=***"),
        (["app", "-token", SECRET], "app -token ***"),
        (
            ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", f"PGPASSWORD={SECRET}"],
            "env AWS_SECRET_ACCESS_KEY=*** PGPASSWORD=***",
        ),
        (["docker", "run", "-e", f"MYSQL_ROOT_PASSWORD={SECRET}"], "docker run -e MYSQL_ROOT_PASSWORD=***"),
        (["docker", "run", f"--env=TOKEN={SECRET}"], "docker run --env=TOKEN=***"),
        (["java", f"-Dspring.datasource.password={SECRET}"], "java -Dspring.datasource.password=***"),
        (["mysql", "-uroot", f"-p{SECRET}", "shop"], "mysql -uroot -p*** shop"),
        (["/usr/bin/mysqldump", f"-p{SECRET}"], "/usr/bin/mysqldump -p***"),
        (["sshpass", "-p", SECRET, "ssh", "host"], "sshpass -p *** ssh host"),
        (["redis-cli", "-a", SECRET], "redis-cli -a ***"),
        (["curl", "-u", f"bob:{SECRET}", "http://h/"], "curl -u bob:*** http://h/"),
        (["curl", "-H", f"Authorization: Bearer {SECRET}"], "curl -H Authorization: ***"),
        (["curl", f"-HX-Api-Key: {SECRET}"], "curl -HX-Api-Key: ***"),
        (["curl", f"https://bob:{SECRET}@host/path"], "curl https://bob:***@host/path"),
        (["curl", f"https://h/?a=1&token={SECRET}&b=2"], "curl https://h/?a=1&token=***&b=2"),
        (["psql", f"postgresql://u:{SECRET}@db/x"], "psql postgresql://u:***@db/x"),
        (["git", "clone", "https://ghp_abcdefghijklmnopqrstuvwx@github.com/a"], "git clone https://***@github.com/a"),
        (["app", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl"], "app ***"),
        (["sh", "-c", f"PGPASSWORD={SECRET} psql -h db"], "sh -c PGPASSWORD=*** psql -h db"),
        (["sh", "-c", f"TOKEN='{SECRET} x' run --api-key {SECRET} y"], "sh -c TOKEN=*** run --api-key *** y"),
        (["sh", "-c", f"cd /a && mysql -p{SECRET} shop"], "sh -c cd /a && mysql -p*** shop"),
        (["bash", "-c", f"echo 'mysql -p{SECRET}'"], "bash -c echo 'mysql -p***'"),
        (["openssl", "rsa", "-passin", f"pass:{SECRET}"], "openssl rsa -passin ***"),
        (["docker", "login", "-u", "bob", "-p", SECRET], "docker login -u bob -p ***"),
        (["xfreerdp", "/u:bob", f"/p:{SECRET}"], "xfreerdp /u:bob /p:***"),
    ],
)
def test_hides(arguments: list[str], shown: str) -> None:
    assert redact(arguments) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nginx:", "worker", "process"],
        ["postgres: writer process"],
        ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"],
        ["/usr/bin/dbus-daemon", "--system", "--address=systemd:", "--nofork"],
        ["java", "-Xmx1g", "-XX:+UseG1GC", "-jar", "app.jar", "--server.port=8080"],
        ["docker", "run", "-p", "80:80", "nginx"],
        ["mysql", "-p", "shop"],
        ["mysqld", "--user=mysql", "--port=3306"],
        ["app", "--password-file=/run/secret", "--token-ttl", "30", "--private-key=/etc/key.pem"],
        ["redis-server", "*:6379"],
        ["python", "-m", "pytest", "-k", "token"],
        ["ssh", "-i", "/home/a/.ssh/id_ed25519", "bob@host"],
        ["keepassxc", "compass", "--bypass=1"],
        ["curl", "https://host/a?page=2&sort=name"],
        ["", "901"],
        [],
    ],
)
def test_leaves_alone(arguments: list[str]) -> None:
    assert redact(arguments) == " ".join(arguments).strip()


flags = st.sampled_from(["--password=", "--api_key=", "DB_PASS=", "--client-secret=", "-Dx.token=", "SMTP_PWD="])
secrets = st.text(string.ascii_letters + string.digits + "+/!$%&?=:@. -_", min_size=12, max_size=40)


@given(flags, secrets.filter(lambda text: not text.startswith(("/", "./", "../", "~"))))
def test_no_value_of_a_secret_flag_is_shown(flag: str, secret: str) -> None:
    assert redact(["app", flag + secret, "end"]) == f"app {flag}{MASK} end"


@given(st.lists(st.text(max_size=30) | st.text("'\"= -:/@?&p", max_size=60), max_size=8))
def test_any_arguments_give_a_line(arguments: list[str]) -> None:
    assert isinstance(redact(arguments), str)


@pytest.mark.parametrize(
    "part", ["'", '"', "' \"", "a=", "://", "a://b:", "-", " ", "'a b' ", "x=y=", "?&a=", '"\'" ', "eyJ", "-H "]
)
def test_long_hostile_lines_cost_little(part: str) -> None:
    began = time.process_time()
    redact(["sh", "-c", (part * 4096)[:4096]])
    redact([(part * 4096)[:4096]] * 2)
    assert time.process_time() - began < 2
