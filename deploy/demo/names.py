"""Names for invented people, roughly as a mixed English county of today would have them.

Each heritage carries first names for girls and boys and surnames, and a weight: how many households in a
hundred draw from it. Parents draw from older first names than their children, as people do. No row describes a
real person; names are joined at random.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Heritage:
    """One pool of names.

    Attributes:
        weight: Households in a hundred that draw from this pool.
        women: First names for women born before 2000.
        men: First names for men born before 2000.
        girls: First names for girls born since.
        boys: First names for boys born since.
        surnames: Last names.
    """

    weight: int
    women: tuple[str, ...]
    men: tuple[str, ...]
    girls: tuple[str, ...]
    boys: tuple[str, ...]
    surnames: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


HERITAGES: Final = (
    Heritage(
        weight=76,
        women=_words(
            "Alison Amanda Andrea Angela Beverley Carol Caroline Catherine Cheryl Christine Claire Deborah Denise "
            "Diane Donna Elizabeth Emma Fiona Gail Gemma Hayley Heather Helen Jacqueline Jane Janet Joanne Julie "
            "Karen Katherine Kelly Kerry Laura Leanne Linda Lisa Lorraine Louise Mandy Margaret Michelle Nicola "
            "Patricia Paula Rachel Rebecca Samantha Sandra Sarah Sharon Stephanie Susan Tina Tracey Vanessa Wendy"
        ),
        men=_words(
            "Adam Adrian Alan Andrew Anthony Barry Brian Carl Christopher Colin Craig Damian Darren David Dean "
            "Derek Gareth Gary Geoffrey Graham Ian James Jason Jeremy John Jonathan Keith Kenneth Kevin Lee Mark "
            "Martin Matthew Michael Neil Nigel Patrick Paul Peter Philip Richard Robert Roger Russell Scott Shaun "
            "Simon Stephen Steven Stuart Terence Thomas Timothy Trevor Wayne William"
        ),
        girls=_words(
            "Abigail Alice Amelia Amy Ava Bethany Caitlin Charlotte Chloe Daisy Eleanor Ella Ellie Emily Erin Eva "
            "Evie Faith Freya Georgia Grace Hannah Harriet Holly Imogen Isabel Isla Jasmine Jessica Keira Lacey "
            "Lauren Lily Lola Lucy Maisie Martha Megan Mia Millie Molly Niamh Olivia Paige Phoebe Poppy Rosie Ruby "
            "Scarlett Shannon Sienna Skye Sophie Summer Tilly Willow Zara Zoe"
        ),
        boys=_words(
            "Aaron Alexander Alfie Archie Arthur Bailey Benjamin Bradley Brandon Callum Cameron Charlie Connor "
            "Daniel Dylan Edward Elliot Ethan Finley Frederick George Harrison Harry Harvey Henry Hugo Isaac Jack "
            "Jacob Jake Jayden Joseph Joshua Kai Kieran Kyle Leo Lewis Liam Logan Louis Lucas Luke Mason Max Nathan "
            "Noah Oliver Oscar Owen Reuben Rhys Riley Ryan Samuel Sebastian Toby Tyler Zachary"
        ),
        surnames=_words(
            "Abney Ackroyd Aldous Applegarth Armitage Ashdown Atterbury Aylward Bagshaw Bancroft Barwick Bassett "
            "Beckwith Bellamy Birtwhistle Blackmore Blakeley Boothroyd Bramley Brearley Brindle Broadbent Brockhurst "
            "Burdett Burnham Butterworth Calvert Carswell Catterall Challoner Chadwick Clewlow Coldwell Copley "
            "Cotterill Cowdrey Crabtree Crawshaw Cresswell Dewhirst Dobbs Drakeford Duckworth Earnshaw Eastwood "
            "Eccleston Elphick Entwistle Fairbrother Fairclough Fanshawe Farnworth Fazackerley Fenwick Fothergill "
            "Garside Gatenby Gathercole Gedling Gledhill Goodfellow Greenhalgh Grimshaw Haigh Halliwell Hargreaves "
            "Hartshorn Haslam Haworth Hebblethwaite Heseltine Hibbert Hinchliffe Holdsworth Hollingworth Horrocks "
            "Huddlestone Ibbotson Illingworth Jagger Jessop Kearsley Kenworthy Kettlewell Kirkbride Lambourne "
            "Langstaff Lathom Leadbetter Ledwith Liversedge Lockyer Lonsdale Lumley Maddocks Marchbanks Marsden "
            "Micklethwaite Midgley Murgatroyd Nettleton Normanton Nuttall Oakeshott Oldroyd Ormerod Osgood Oxley "
            "Padgett Pargeter Peasgood Pickersgill Pilkington Postlethwaite Priestley Quarmby Ramsbottom Rawnsley "
            "Redfearn Ridsdale Rigby Rowbottom Rushworth Satterthwaite Scholefield Shackleton Shufflebotham "
            "Sidebottom Slingsby Smallwood Sowerby Stainthorpe Stanhope Stockdale Sugden Sutcliffe Swinburne "
            "Tattersall Tempest Thistlewood Threlfall Tillotson Titterington Tordoff Tunnicliffe Twells Uttley "
            "Varley Wagstaff Walmsley Wardle Weatherill Whiteley Widdowson Wigglesworth Winstanley Wolstenholme "
            "Woodhead Wormald Wragg Yardley Yeadon"
        ),
    ),
    Heritage(
        weight=9,
        women=_words("Amina Anjali Bushra Farzana Kavita Meena Nasreen Nazia Parveen Rukhsana Shabana Sunita"),
        men=_words("Abdul Ajay Asif Imran Iqbal Jaswinder Mohammed Naveed Rajesh Sanjay Tariq Vikram"),
        girls=_words("Aisha Anika Fatima Hafsa Inaya Khadija Maryam Priya Riya Safa Simran Zainab"),
        boys=_words("Adam Arjun Ayaan Faizan Hamza Ibrahim Jai Kabir Mohammed Rohan Yusuf Zain"),
        surnames=_words(
            "Ahmad Akhtar Bashir Begum Bhatt Chaudhry Desai Gill Hussain Joshi Kaur Khan Malik Mehta Mistry Patel "
            "Rana Sandhu Shah Sidhu Solanki Thakrar"
        ),
    ),
    Heritage(
        weight=6,
        women=_words("Abena Adwoa Beverley Blessing Comfort Folake Grace Joy Marcia Ngozi Patience Yvonne"),
        men=_words("Chidi Clive Delroy Emeka Errol Femi Kofi Kwame Leroy Oluwaseun Tunde Winston"),
        girls=_words("Abigail Amara Ayesha Chanelle Destiny Ife Kezia Naomi Renee Shanice Temi Zuri"),
        boys=_words("Caleb Dante Elijah Emmanuel Jeremiah Jermaine Kwasi Malachi Micah Nathaniel Tobi Tyrese"),
        surnames=_words(
            "Adebayo Afolabi Amankwah Asante Boateng Campbell Chukwu Danquah Eze Francis Grant Mensah Nwosu Obeng "
            "Ogunleye Osei Owusu Reid Sarpong Wray"
        ),
    ),
    Heritage(
        weight=6,
        women=_words("Agnieszka Anna Beata Dorota Ewa Joanna Katarzyna Magdalena Malgorzata Monika Renata Simona"),
        men=_words("Andrzej Bogdan Dariusz Gheorghe Jan Krzysztof Marek Mihai Pawel Piotr Tomasz Vasile"),
        girls=_words("Aleksandra Alicja Ana Gabriela Hanna Julia Lena Maja Natalia Oliwia Wiktoria Zuzanna"),
        boys=_words("Adrian Antoni Dawid Filip Jakub Kacper Luca Matei Mateusz Oskar Stefan Szymon"),
        surnames=_words(
            "Adamczyk Albu Balan Dragan Dudek Gorski Jankowski Kaczmarek Kowalczyk Lis Mazur Moldovan Nowak Pawlak "
            "Popa Rusu Sikora Stoica Szewczyk Wrona"
        ),
    ),
    Heritage(
        weight=3,
        women=_words("Aoife Bronagh Ceri Eirlys Eilidh Kirsty Mairead Morag Nerys Rhiannon Siobhan Sinead"),
        men=_words("Aled Alasdair Callum Ciaran Declan Dylan Eamonn Gethin Hamish Iestyn Lorcan Ruairi"),
        girls=_words("Aine Catrin Cerys Ciara Ffion Iona Mairi Nia Orla Roisin Seren Skye"),
        boys=_words("Cormac Dafydd Fergus Finlay Gruff Ioan Macsen Oisin Osian Ronan Rory Tomos"),
        surnames=_words(
            "Ap-Rhys Brannigan Cadwallader Drummond Gilchrist Gwilliam Heffernan Kavanagh Kilbride Llewelyn "
            "MacInnes McAllister McGarry McQuaid O'Dowd O'Shaughnessy Penhallow Probert Tregenza Urquhart"
        ),
    ),
)
"""Weights add up to a hundred."""

SHORT_FORMS: Final = {
    "Abigail": "Abi",
    "Alexander": "Alex",
    "Andrew": "Andy",
    "Anthony": "Tony",
    "Benjamin": "Ben",
    "Catherine": "Cath",
    "Charlotte": "Lottie",
    "Christopher": "Chris",
    "Daniel": "Danny",
    "David": "Dave",
    "Deborah": "Debbie",
    "Edward": "Ted",
    "Eleanor": "Ellie",
    "Elizabeth": "Liz",
    "Frederick": "Freddie",
    "Jacqueline": "Jackie",
    "James": "Jim",
    "Jonathan": "Jon",
    "Joseph": "Joe",
    "Joshua": "Josh",
    "Katherine": "Kate",
    "Kenneth": "Ken",
    "Margaret": "Maggie",
    "Matthew": "Matt",
    "Michael": "Mick",
    "Nathaniel": "Nat",
    "Nicola": "Nicky",
    "Oliver": "Ollie",
    "Patricia": "Pat",
    "Peter": "Pete",
    "Philip": "Phil",
    "Rebecca": "Becky",
    "Richard": "Rick",
    "Robert": "Bob",
    "Samantha": "Sam",
    "Samuel": "Sam",
    "Stephanie": "Steph",
    "Stephen": "Steve",
    "Steven": "Steve",
    "Susan": "Sue",
    "Terence": "Terry",
    "Thomas": "Tom",
    "Timothy": "Tim",
    "William": "Bill",
    "Zachary": "Zak",
}
"""What a custody sergeant writes down when someone gives the name they are called by."""

STREETS: Final = (
    "Alderman's Walk",
    "Anvil Yard",
    "Barley Close",
    "Beacon Rise",
    "Bellfounder Street",
    "Bilberry Lane",
    "Bobbin Mill Road",
    "Brickfield Terrace",
    "Canal Wharf",
    "Chantry Gardens",
    "Cinder Path",
    "Cobbler's Row",
    "Coldharbour Crescent",
    "Corn Hill View",
    "Curlew Way",
    "Dyehouse Lane",
    "Eastgate Parade",
    "Fallowfield Drive",
    "Ferryman's Court",
    "Foundry Square",
    "Glebe Meadow",
    "Goosefeather Lane",
    "Hatters Croft",
    "Heronsgate",
    "Hobbs Bottom",
    "Ironstone Avenue",
    "Jubilee Buildings",
    "Kestrel Mount",
    "Ladybower Road",
    "Lamplighter Street",
    "Larkspur Rise",
    "Linnet Grove",
    "Malthouse Close",
    "Mercer's Piece",
    "Nightingale Flats",
    "Old Tannery Road",
    "Orchard Bank",
    "Packhorse Lane",
    "Penny Brook",
    "Quarry Mead",
    "Ropewalk",
    "Saddlers Fold",
    "Signal Box Lane",
    "Spindle Street",
    "Tenterfield Road",
    "Thimble Hall Lane",
    "Tollgate Drive",
    "Wagtail Close",
    "Weavers Green",
    "Wheelwright Avenue",
)
"""Fifty streets of a town that is on no map."""
