-- One row per key that leads to an issue: its own, and those that it was seen under before it moved to another project.
-- key: tool, issue_key
-- tool text: The tool that holds the issue.
-- issue_key text: The key, in capitals.
-- issue_id text: Id of the issue that it leads to now.
-- current boolean: Whether it is the issue's key today.
with former as (
    select
        issue.tool,
        seen.issue_key,
        issue.issue_id,
        row_number() over (
            partition by issue.tool, seen.issue_key order by seen.seen_at desc nulls last, issue.issue_id
        ) as place
    from sync.issue_keys as seen
    join unified.issues as issue on issue.tool = seen.tool and issue.issue_id = seen.issue_id
    left join unified.issues as holder on holder.tool = seen.tool and holder.issue_key = seen.issue_key
    where holder.issue_id is null
)

select
    issue.tool,
    issue.issue_key,
    issue.issue_id,
    true as current
from unified.issues as issue
where issue.issue_key is not null
union all
select
    former.tool,
    former.issue_key,
    former.issue_id,
    false as current
from former
where former.place = 1
