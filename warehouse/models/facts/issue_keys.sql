-- One row per key that leads to an issue: its own, and those it was linked under before it moved to another project.
-- key: tool, issue_key
-- tool text: The tool that holds the issue.
-- issue_key text: The key, in capitals.
-- issue_id text: Id of the issue that it leads to now.
-- current boolean: Whether it is the issue's key today.
with former as (
    select
        issue.tool,
        link.to_key as issue_key,
        issue.issue_id,
        row_number() over (
            partition by issue.tool, link.to_key order by link.first_seen desc nulls last, issue.issue_id
        ) as place
    from unified.links as link
    join unified.issues as issue on issue.tool = link.to_tool and issue.issue_id = link.to_id
    left join unified.issues as holder on holder.tool = link.to_tool and holder.issue_key = link.to_key
    where link.to_type = 'issue' and link.to_key is not null and holder.issue_id is null
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
