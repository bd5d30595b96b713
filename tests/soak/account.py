"""Accounts for every request of a long run, with three witnesses: the clients, the service's log and its metrics."""
import collections
import json

from load import ANSWERED, BROKEN, CUT, HUNG

AWAY = ("queue_full", "queue_timeout", "displaced", "too_many_bytes", "draining", "no_memory")  # 503, in the words of the metrics


UNREAD = 64 << 10  # bytes beyond which a body is not read for the sake of who may not send it
# Of a fresh zygote that was killed as well.
EXPECTED = "a fresh zygote could not take over"


def overlaps(record, kills):
    return any(record.sent <= kill.gone and record.ended >= kill.began for kill in kills)


class Account:
    """`log`: the path of the service's log, in JSON; `ids`: the beginning of all ids of this run."""

    def __init__(self, records, kills, scrapes, log, ids):
        self.records, self.scrapes = records, scrapes
        self.servers = [kill for kill in kills if kill.what == "server"]
        self.zygotes = [kill for kill in kills if kill.what in ("zygote", "flavour")]
        self.ends = collections.Counter(record.end for record in records)
        self.read_log(log, ids)

    def read_log(self, path, ids):
        """How often each request has a line, what its last one says; who died, by the manager's word; and all that it told else."""
        self.lines, self.said, self.zygote_pids, self.deaths = collections.Counter(), {}, set(), collections.Counter()
        self.errors, self.told = [], []
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:  # the last words of whoever was ended by assert(), a library or a sanitizer
                    self.told.append(line)
                    self.errors.append(line.rstrip())
                    continue
                if (id_ := entry.get("request_id", "")).startswith(ids):
                    self.lines[id_] += 1
                    self.said[id_] = entry["httpRequest"]["status"], entry.get("outcome"), entry.get("key")
                else:
                    self.told.append(line)
                    self.read_told(entry)

    def read_told(self, entry):
        if entry["component"] == "zygote":
            self.zygote_pids.add(entry["pid"])
        if entry["component"] != "python-executor":
            return
        text = entry["message"]
        for who in ("server", "zygote"):
            self.deaths[who] += text.startswith(f"the {who} was killed by") or text.startswith(f"the {who} ended with")
        if entry["severity"] == "ERROR" and not text.startswith(EXPECTED):
            self.errors.append(text)

    # --- What is wrong, in words; nothing where all is well ---

    def wrong(self):
        return [f"{record.id} ({record.kind}: {record.name}): {record.wrong}" for record in self.records if record.wrong]

    def hung(self):
        return [f"{record.id} ({record.kind}: {record.name})" for record in self.records if record.end == HUNG]

    def under_way(self):
        """Those that a server took along."""
        return [record for record in self.records if record.end == BROKEN and overlaps(record, self.servers)]

    def cut_short(self):
        """Those whose large body nobody wanted to read: they were answered 429 at once, and may have seen a reset (docs/KEYS.md)."""
        return [record for record in self.records if record.end == BROKEN and record.size > UNREAD and self.said.get(record.id, [0])[0] == 429]

    def unaccounted(self):
        """Neither answered nor cut by the client, and no server died meanwhile."""
        cut_short = {record.id for record in self.cut_short()}
        return [f"{record.id} ({record.kind}: {record.name}) {record.end} {record.wrong}" for record in self.records
                if record.end not in (ANSWERED, CUT) and record.id not in cut_short
                and not (record.end == BROKEN and overlaps(record, self.servers))]

    def lost(self):
        return [record for record in self.records if record.outcome == "lost"]

    def lost_without_reason(self):
        return [f"{record.id} ({record.kind}: {record.name})" for record in self.lost() if not overlaps(record, self.zygotes)]

    def without_retry_after(self):
        """A stream has begun by then, and cannot say it any more."""
        return [record.id for record in self.records
                if record.code in (429, 503) and not (record.retry_after or "").isdigit()]

    def not_in_the_log(self):
        """Answered requests have one line, and it says what the client saw. One line more is an answer more."""
        found, self.lines_lost = [f"{id_}: {count} lines" for id_, count in self.lines.items() if count > 1], 0
        for record in self.records:
            if record.end != ANSWERED or record.id in self.lines:
                if record.end == ANSWERED and self.said[record.id][0] != record.code:
                    found.append(f"{record.id}: {self.said[record.id]} in the log, {record.code} {record.outcome} was the answer")
            elif overlaps(record, self.servers):
                self.lines_lost += 1
            else:
                found.append(f"{record.id}: answered, and not in the log")
        return found

    # --- Metrics ---

    def lives(self):
        """(a server's scrape, its records): a server counts for itself, from nothing, and was asked before its end."""
        for number, scrape in enumerate(self.scrapes):
            born = self.servers[number - 1].gone if number else 0
            died = self.servers[number].gone if number < len(self.servers) else float("inf")
            yield scrape, [record for record in self.records if record.ended > born and record.sent <= died], born, died

    @staticmethod
    def compare(counted, least, most, unknown):
        """What a counter that is read under way must have: all that had ended, nothing that had not begun; and of those whose
        end nobody saw no more than there are."""
        found = [f"{key}: {counted.get(key, 0)}, the clients had {count}" for key, count in least.items() if counted.get(key, 0) < count]
        beyond = sum(max(0, count - most[key]) for key, count in counted.items())
        return found + ([f"{beyond} more than the clients know of, who were away for {unknown}: {counted} {dict(most)}"] if beyond > unknown else [])

    FAMILIES = {
        "runs": (lambda metrics: metrics.by("python_executor_runs_total", "outcome"), lambda record: record.outcome),
        "answers": (lambda metrics: metrics.by("python_executor_http_responses_total", "code"), lambda record: str(record.code)),
        "sent away": (lambda metrics: {503: sum(metrics.value("python_executor_rejected_total", reason=reason) for reason in AWAY)},
                      lambda record: 503 if record.status == 503 else None),
        "refused by key": (lambda metrics: {name: sum(metrics.value("python_executor_key_refused_total", key=name, reason=reason)
                                                      for reason in ("rate", "concurrent"))
                                            for name in metrics.by("python_executor_key_refused_total", "key")},
                           lambda record: record.key if record.status == 429 else None),
    }

    def not_in_the_metrics(self):
        found = []
        for number, (scrape, records, born, died) in enumerate(self.lives()):
            answered = [record for record in records if record.end == ANSWERED and born < record.ended <= died]
            unknown = sum(record.end != ANSWERED and record.sent <= scrape.ended for record in records)
            for name, (read, key_of) in self.FAMILIES.items():
                least = collections.Counter(key_of(record) for record in answered if record.ended <= scrape.began)
                most = collections.Counter(key_of(record) for record in answered if record.sent <= scrape.ended)
                least.pop(None, None), most.pop(None, None)
                found += [f"server {number + 1}, {name}: {text}" for text in self.compare(read(scrape.metrics), least, most, unknown)]
        return found

    def unplanned_deaths(self):
        """What the manager saw end, beside what was killed. With a server its zygotes end as well."""
        most = {"server": len(self.servers), "zygote": len(self.zygotes) + 2 * len(self.servers)}
        return [f"{self.deaths[who]} of {who}, {count} at most were to be" for who, count in most.items() if self.deaths[who] > count] + self.errors
