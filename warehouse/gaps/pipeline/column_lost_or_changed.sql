-- title: A field that the tool does not show any more, or in another form
-- severity: critical
-- owner: operations
-- fix: Let the connection's user see the field again or map the column to the one that holds it now. If it is gone for good, name it under without in the settings.
-- inputs:
-- entity: column
select
    lost.tool || '.' || lost.stream || '.' || lost.column_name as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    lost.tool || '.' || lost.stream || '.' || lost.column_name
    || case
        when lost.change = 'lost' then ' is not shown any more'
        when lost.change = 'gone' then ' does not come any more'
        else ' has changed: no value fits it any more'
    end as title,
    'Since ' || strftime(lost.since, '%Y-%m-%d %H:%M') || ' UTC. What was known before is kept, and grows old.' as detail,
    cast(null as text) as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    tools.url
from sync.lost_columns as lost
join settings.tools as tools on tools.tool = lost.tool and tools.connected
