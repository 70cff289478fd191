from models import images, read_image


def test_earlier_model_cards_import_read_image_from_here():
    assert images.__all__ == ["read_image"]
    assert images.read_image is read_image
