-- Did last night's data arrive?
-- One row per unified table, those that rest on late data first, with the reads that are late.
with late as (
    select
        count(*) as reads,
        string_agg(gap.entity_id, ', ' order by gap.entity_id) as names
    from unified.gaps as gap
    where gap.rule = 'source_late' and gap.status <> 'resolved'
)

select
    built.table_name,
    built.inputs_fresh,
    built.as_of,
    built.built_at,
    built.rows,
    case when not built.inputs_fresh then late.names end as late_reads
from unified.tables as built
cross join late
order by built.inputs_fresh nulls first, built.table_name
