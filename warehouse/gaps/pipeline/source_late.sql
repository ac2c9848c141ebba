-- title: Data that did not arrive
-- severity: high
-- owner: operations
-- fix: Open the read's last run, mend what its error names, and run the tool's sync again.
-- inputs:
-- entity: read
with reads as (
    select
        declared.tool,
        declared.read,
        declared.tool || '/' || declared.read as name,
        max(case when run.status in ('succeeded', 'unavailable') then coalesce(run.covered_until, run.ended_at) end) as covered_until,
        max(case when run.status = 'failed' then run.started_at end) as last_failed_at
    from settings.reads as declared
    left join sync.runs as run on run.tool = declared.tool and run.read = declared.read
    where declared.connected
    group by declared.tool, declared.read
),

errors as (
    select
        reads.name,
        max(run.error) as error
    from reads
    join sync.runs as run
        on run.tool = reads.tool
        and run.read = reads.read
        and run.status = 'failed'
        and run.started_at = reads.last_failed_at
    where reads.last_failed_at > reads.covered_until or reads.covered_until is null
    group by reads.name
)

select
    reads.name as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    case
        when reads.covered_until is null then reads.name || ' has never arrived'
        else reads.name || ' has not arrived since ' || strftime(reads.covered_until, '%Y-%m-%d %H:%M') || ' UTC'
    end as title,
    'What the tables say about it may be out of date.'
    || case
        when errors.error is null then ' No read was tried since.'
        else ' The last try: ' || errors.error
    end as detail,
    cast(null as text) as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    place.url,
    case
        when reads.covered_until
            >= clock.as_of - (options.fresh_hours + options.late_critical_hours) * interval 1 hour
            then 'high'
        else 'critical'
    end as severity
from reads
left join errors on errors.name = reads.name
left join settings.tools as place on place.tool = reads.tool
cross join settings.clock as clock
cross join settings.options as options
where coalesce(reads.covered_until < clock.as_of - options.fresh_hours * interval 1 hour, true)
