"""The analyses on Databricks: submits notebooks/pinpipe_analyses.py as a run of its own and waits for it.

Needs the provider apache-airflow-providers-databricks, a connection to the workspace, and the lake where the cluster
reaches it (a bucket). The waiting is the triggerer's: no worker is held.
Every setting is a Param of the run; an empty one is the Variable pinpipe_databricks_NAME, then the default.
"""

from datetime import datetime, timedelta

from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator
from airflow.sdk import DAG, Asset, Param

# name: (default, what it is)
SETTINGS = {
    "connection": ("databricks_default", "Connection id of the workspace"),
    "cluster": (None, "Id of the cluster that runs the notebook"),
    "notebook": ("/Workspace/Shared/pinpipe/notebooks/pinpipe_analyses", "The notebook, as the workspace names it"),
    "lake": (None, "The lake as Databricks reads it, such as s3://my-bucket/pinpipe"),
    "models": ("../models", "Directory of the SQL models, from the notebook's directory or absolute"),
    "id": ("124df56aef51", "User id that prefixes the tables (--id)"),
}


def template(name):
    """The value of a setting when the task runs: nothing asks the database while the file is parsed.

    One without a default must be named: Airflow's error then tells the Variable.
    """
    default = SETTINGS[name][0]
    variable = f"pinpipe_databricks_{name}"
    return (f"{{{{ params.{name} or var.value.{variable} }}}}" if default is None else
            f"{{{{ params.{name} or var.value.get('{variable}', '{default}') }}}}")


with DAG(
    dag_id="pinpipe_databricks",
    description="The analyses over pinpipe's lake, by a notebook on Databricks",
    doc_md=__doc__,
    schedule=None,  # [Asset("pinpipe_pin"), Asset("pinpipe_geo"), Asset("pinpipe_user")] runs it behind each batch
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["pinpipe", "databricks"],
    params={name: Param("", type="string", description=text, title=name) for name, (_, text) in SETTINGS.items()},
    default_args={
        "retries": 2,
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=2),
    },
) as dag:
    DatabricksSubmitRunOperator(
        task_id="analyses",
        databricks_conn_id=template("connection"),
        json={
            "run_name": "pinpipe analyses",
            "timeout_seconds": 7200,
            "existing_cluster_id": template("cluster"),  # or "new_cluster": {…}
            "notebook_task": {
                "notebook_path": template("notebook"),
                "base_parameters": {name: template(name) for name in ("lake", "models", "id")},
            },
        },
        deferrable=True,
        outlets=[Asset("pinpipe_databricks_answers")],
    )
