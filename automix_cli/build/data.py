"""What is asked of the data."""

from automix_cli.data.request import DataRequest
from automix_cli.settings import DataSettings


def data_request(data: DataSettings) -> DataRequest:
    """The images that `[data]` describes, and where they are."""
    return DataRequest(
        name=data.name,
        directory=data.dir,
        download=data.download,
        mirror=data.mirror,
        csv=data.csv,
        holdout=data.holdout,
        train_limit=data.train_limit,
        image_size=data.image_size,
    )
